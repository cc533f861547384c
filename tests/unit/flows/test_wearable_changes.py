"""What a read changes in the store, and what a Consent permits: pure decisions."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from fhir_facade.fhir.document import decimal_dumps
from fhir_facade.flows.wearables.changes import Window, changes, window_of
from fhir_facade.flows.wearables.records import consented_scopes, device, withdrawn
from fhir_facade.ports import VendorDevice, VendorSettings
from fhir_facade.rows.connections import Connection
from mappers.observation import MapResult, Skipped
from terminology.canonical import identifier_system

TODAY = date(2026, 11, 21)
WINDOW = Window(date(2026, 11, 14), date(2026, 11, 22))
VENDOR = "google-health"


def _observation(key, value="1.0", day="2026-11-20", **members):
    return {
        "resourceType": "Observation",
        "id": key,
        "identifier": [{"system": identifier_system(VENDOR), "value": key}],
        "status": "final",
        "effectiveDateTime": day,
        "valueQuantity": {"value": Decimal(value)},
        **members,
    }


def _stored(*observations):
    return {each["id"]: decimal_dumps({**each, "meta": {"versionId": "3"}}) for each in observations}


def _plan(observations, stored, *, skipped=(), keys=None, complete=True):
    seen = [each["id"] for each in observations] if keys is None else keys
    return changes(MapResult(observations, list(skipped), seen), stored, WINDOW, vendor=VENDOR, complete=complete)


@pytest.mark.parametrize(
    ("through", "full", "first"),
    [
        pytest.param(None, False, date(2026, 8, 24), id="first time"),
        pytest.param(TODAY, False, date(2026, 11, 14), id="read today"),
        pytest.param(date(2026, 11, 1), False, date(2026, 10, 25), id="read three weeks ago"),
        pytest.param(date(2026, 5, 1), False, date(2026, 4, 24), id="read before the look-back"),
        pytest.param(TODAY, True, date(2026, 8, 24), id="full"),
        pytest.param(date(2026, 5, 1), True, date(2026, 4, 24), id="full after a long gap"),
    ],
)
def test_the_window_reaches_back_as_far_as_something_may_be_new(through, full, first):
    assert window_of(TODAY, through, lookback_days=90, full=full) == Window(first, date(2026, 11, 22))


@pytest.mark.parametrize(
    ("effective", "inside"),
    [
        pytest.param({"effectiveDateTime": "2026-11-14"}, True, id="first day"),
        pytest.param({"effectiveDateTime": "2026-11-13"}, False, id="day before"),
        pytest.param({"effectiveDateTime": "2026-11-21"}, True, id="last day"),
        pytest.param({"effectiveDateTime": "2026-11-22"}, False, id="day after"),
        pytest.param({"effectiveDateTime": "2026-11-14T00:59:00+01:00"}, False, id="instant before midnight UTC"),
        pytest.param({"effectiveDateTime": "2026-11-14T01:00:00+01:00"}, True, id="instant at midnight UTC"),
        pytest.param({"effectivePeriod": {"start": "2026-11-13T22:00:00Z"}}, False, id="sleep still going on"),
        pytest.param(
            {"effectivePeriod": {"start": "2026-11-13T22:00:00Z", "end": "2026-11-14T06:00:00Z"}},
            True,
            id="sleep that ends inside",
        ),
        pytest.param({}, False, id="no time"),
    ],
)
def test_a_stored_record_is_inside_when_it_would_have_been_read(effective, inside):
    assert WINDOW.holds(effective) is inside


def test_an_equal_record_needs_no_write_and_a_different_digit_does():
    same, other = _observation("a", "1.0"), _observation("b", "2.00")

    plan = _plan([same, other], _stored(same, _observation("b", "2.0")))

    assert (plan.unchanged, [each["id"] for each in plan.puts], plan.gone) == (1, ["b"], [])


def test_changes_come_in_the_order_of_their_times():
    late = _observation("a", day="2026-11-20T08:00:00+01:00")
    early = _observation("b", day="2026-11-20T06:30:00Z")

    assert [each["id"] for each in _plan([late, early], {}).puts] == ["b", "a"]


def test_what_is_missing_in_a_complete_read_is_entered_in_error_without_its_meta():
    plan = _plan([], _stored(_observation("a", "1.50")))

    (gone,) = plan.gone
    assert gone["status"] == "entered-in-error"
    assert "meta" not in gone
    assert b"1.50" in decimal_dumps(gone)


@pytest.mark.parametrize(
    "read",
    [
        pytest.param({"complete": False}, id="incomplete read"),
        pytest.param({"skipped": [Skipped("steps", "no date")]}, id="a record without identity"),
        pytest.param({"keys": ["a"], "skipped": [Skipped("steps", "odd", "a")]}, id="there, but unreadable"),
    ],
)
def test_nothing_vanishes_that_may_still_be_there(read):
    assert _plan([], _stored(_observation("a")), **read).gone == []


def test_what_is_in_error_already_or_outside_the_window_stays_as_it_is():
    stored = _stored(_observation("a", status="entered-in-error"), _observation("b", day="2026-11-01"))

    assert _plan([], stored).gone == []


# --- consent --------------------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_CODE = [{"coding": [{"system": "urn:ietf:rfc:3986", "code": "scope:a"}, {"system": "other", "code": "scope:b"}]}]


@pytest.mark.parametrize(
    ("changed", "scopes"),
    [
        pytest.param({}, {"scope:a"}, id="active"),
        pytest.param({"status": "inactive"}, set(), id="inactive"),
        pytest.param({"provision": {"type": "deny", "code": _CODE}}, set(), id="deny"),
        pytest.param({"provision": {"type": "permit"}}, set(), id="nothing named"),
        pytest.param({"provision": {}}, set(), id="no type"),
        pytest.param(
            {"provision": {"type": "permit", "code": _CODE, "period": {"start": "2026-11-22"}}}, set(), id="not yet"
        ),
        pytest.param(
            {"provision": {"type": "permit", "code": _CODE, "period": {"end": "2026-11-21T11:59:59Z"}}},
            set(),
            id="ended",
        ),
        pytest.param(
            {"provision": {"type": "permit", "code": _CODE, "period": {"start": "2026", "end": "2026-12"}}},
            {"scope:a"},
            id="partial dates",
        ),
        pytest.param(
            {"provision": {"type": "permit", "code": _CODE, "period": {"end": "soon"}}},
            set(),
            id="a time that nobody can read",
        ),
    ],
)
def test_only_an_active_permit_of_this_moment_permits(changed, scopes):
    consent = {"status": "active", "provision": {"type": "permit", "code": _CODE}, **changed}

    assert consented_scopes(consent, NOW) == scopes


def test_a_withdrawn_consent_permits_nothing_and_keeps_what_it_said():
    consent = {"status": "active", "meta": {"versionId": "1"}, "provision": {"type": "permit", "code": _CODE}}

    ended = withdrawn(consent, NOW)

    assert (ended["status"], ended["provision"]["code"]) == ("inactive", _CODE)
    assert ended["provision"]["period"] == {"end": "2026-11-21T12:00:00.000Z"}
    assert consented_scopes(ended, NOW) == set()


def test_a_device_is_named_after_the_tracker_or_at_least_the_vendor():
    connection = Connection(id="c", patient="p", vendor=VENDOR, state="active", created_at=NOW, account="1")
    paired = (VendorDevice("2", "Aria", "scale"), VendorDevice("1", "Charge 6", "tracker"))

    named = device(connection, VendorSettings(None, paired), "Google Health")
    unnamed = device(connection, None, "Google Health")

    assert [each["name"] for each in named["deviceName"]] == ["Charge 6", "Aria"]
    assert [each["name"] for each in unnamed["deviceName"]] == ["Google Health"]
    assert named["id"] == unnamed["id"]
