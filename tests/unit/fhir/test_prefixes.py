"""The prefixes of a value, in the words of R4 and in the signs of the releases before it."""

from datetime import UTC, datetime

import pytest

from fhir_facade.fhir.query.parse import parse_query
from fhir_facade.fhir.query.prefixes import split_prefix


@pytest.mark.parametrize("raw", ["5", "-5", "+5", "", "|urn:x|kg", "e5", "=5", "a>5"])
def test_without_a_prefix_equality_is_meant(raw: str) -> None:
    assert split_prefix(raw) == ("eq", raw)


@pytest.mark.parametrize("prefix", ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"])
def test_a_prefix_of_r4_is_split_off(prefix: str) -> None:
    assert split_prefix(f"{prefix}2020-01-02") == (prefix, "2020-01-02")


@pytest.mark.parametrize(("sign", "prefix"), [(">", "gt"), (">=", "ge"), ("<", "lt"), ("<=", "le"), ("~", "ap")])
def test_the_signs_of_older_clients_are_understood(sign: str, prefix: str) -> None:
    assert split_prefix(f"{sign}5.40|urn:x|kg") == (prefix, "5.40|urn:x|kg")


def test_the_direction_of_a_sort_may_be_a_modifier_as_in_older_clients() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    query = parse_query("Patient", [("_sort:desc", "birthdate"), ("_sort:asc", "_id")], now=now).query

    assert [(each.name, each.descending) for each in query.sort] == [("birthdate", True), ("_id", False)]
