"""How many connections are let in, from whom, and that a place comes back."""

from __future__ import annotations

import logging
import resource
import sys

import pytest

from fhir_facade.api.address import parse_networks
from fhir_facade.cli.connections import Connections, shared_by_workers
from fhir_facade.settings import Settings

CLINIC, OTHER, PROXY = "192.0.2.1", "192.0.2.2", "10.0.0.7"


def test_one_address_cannot_take_the_places_of_others() -> None:
    places = Connections(in_all=10, of_one=3)

    assert [places.take(CLINIC) for _ in range(5)] == [True, True, True, False, False]
    assert places.take(OTHER)


def test_no_more_are_let_in_than_all_may_hold_whoever_they_are() -> None:
    places = Connections(in_all=4, of_one=3, trusted=parse_networks(PROXY))

    assert [places.take(PROXY) for _ in range(5)] == [True, True, True, True, False]
    assert not places.take(CLINIC)


def test_a_place_comes_back_when_a_connection_ends() -> None:
    places = Connections(in_all=2, of_one=1)
    assert places.take(CLINIC)
    assert not places.take(CLINIC)

    places.leave(CLINIC)

    assert places.take(CLINIC)
    assert places.take(OTHER)
    assert not places.take("192.0.2.3")


@pytest.mark.parametrize(
    ("first", "second", "one"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        (CLINIC, f"::ffff:{CLINIC}", True),
        (CLINIC, OTHER, False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_what_one_subscriber_has_counts_as_one_address(first: str, second: str, one: bool) -> None:
    places = Connections(in_all=10, of_one=1)

    assert places.take(first)
    assert places.take(second) is not one


@pytest.mark.parametrize("proxy", [PROXY, f"::ffff:{PROXY}", "2001:db8::5"])
def test_a_trusted_proxy_stands_for_many(proxy: str) -> None:
    places = Connections(in_all=100, of_one=1, trusted=parse_networks("10.0.0.0/8, 2001:db8::/32"))

    assert all(places.take(proxy) for _ in range(20))
    assert places.take(CLINIC)
    assert not places.take(CLINIC)


def test_nothing_is_kept_of_addresses_that_are_gone() -> None:
    places = Connections(in_all=100, of_one=1)
    empty = sys.getsizeof(vars(places)["_by_address"])
    for number in range(1000):
        assert places.take(f"198.51.100.{number % 256}")
        places.leave(f"198.51.100.{number % 256}")

    assert not vars(places)["_by_address"]
    assert sys.getsizeof(vars(places)["_by_address"]) <= empty + 1024


def test_refusals_are_told_as_a_number_once_and_without_an_address(caplog: pytest.LogCaptureFixture) -> None:
    places = Connections(in_all=1, of_one=1)
    places.take(CLINIC)
    for _ in range(3):
        places.take(CLINIC)

    with caplog.at_level(logging.WARNING):
        places.tell()
        places.tell()

    (record,) = caplog.records
    assert vars(record)["count"] == 3
    assert CLINIC not in repr(vars(record))


def test_each_worker_takes_its_share_of_the_limits() -> None:
    settings = Settings(workers=3, max_connections=100, max_connections_per_address=50)
    places = shared_by_workers(settings)

    assert [places.take(CLINIC) for _ in range(18)] == [True] * 17 + [False]
    assert sum(places.take(f"192.0.2.{number}") for number in range(2, 60)) == 34 - 17


def test_the_process_may_open_as_many_files_as_it_may_hold_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
        shared_by_workers(Settings(workers=1, max_connections=500))
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 500 + 256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
