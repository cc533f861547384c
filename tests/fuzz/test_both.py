"""Two facades that hold the same answer alike, and the comparison sees where they do not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.alike import differences
from tests.fuzz.both import FHIR, Both
from tests.fuzz.record import Record
from tests.fuzz.stage import opened_stage
from tests.fuzz.walk import SUBJECTS, walk
from tests.fuzz.wire import GIVEN_UP, Answer, Request

pytestmark = pytest.mark.xdist_group("fuzz")


def outcome(**issue: Any) -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", **issue}]}


def told(document: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, {"content-type": "application/fhir+json", **headers}, json.dumps(document).encode())


def found(*ids: str, **more: Any) -> dict[str, Any]:
    entries = [{"resource": {"resourceType": "Patient", "id": id_}, "search": {"mode": "match"}} for id_ in ids]
    return {"resourceType": "Bundle", "id": "b", "type": "searchset", "entry": entries, **more}


ONE, OTHER = "01a208f3-dfc7-7e15-9542-e636fbf0ff8b", "01a208f3-dfd3-7170-ae25-56e56e16e23c"


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        pytest.param(told(found()), told(found(), 404), "differs: 200 on SQLite, 404 over HAPI", id="status"),
        pytest.param(told(found("a", "b")), told(found("b", "a")), "differs: entry.resource.id", id="order"),
        pytest.param(told(found("a", total=1)), told(found("a", total=2)), "differs: total", id="total"),
        pytest.param(told(found("a")), told(found("a", "b")), "differs: entry", id="how many"),
        pytest.param(
            told(outcome(code="value"), 400), told(outcome(code="required"), 400), "differs: issue.code", id="code"
        ),
        pytest.param(told({}, etag='W/"1"'), told({}, etag='W/"2"'), "differs: the header etag", id="header"),
        pytest.param(told({"x": 1}), told({"x": 1.01}), "differs: x", id="number"),
        pytest.param(Answer(200, {}, b"a"), Answer(200, {}, b"b"), "differs: the body", id="no JSON"),
        pytest.param(told(found(ONE, OTHER)), told(found(ONE, ONE)), "differs: entry.resource.id", id="one id for two"),
    ],
)
def test_a_difference_is_told(one: Answer, other: Answer, said: str) -> None:
    assert differences(one, other) == [said]
    assert differences(one, one) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(told(found(ONE)), told(found(OTHER)), id="ids that a server made"),
        pytest.param(
            told({"meta": {"lastUpdated": "2026-11-23T15:08:49.991Z"}}),
            told({"meta": {"lastUpdated": "2026-11-23T15:08:50.003Z"}}),
            id="moments",
        ),
        pytest.param(
            told(outcome(code="value", diagnostics="so")), told(outcome(code="value", diagnostics="or so")), id="words"
        ),
        pytest.param(told({"x": 1.0}), told({"x": 1}), id="how a number is written"),
        pytest.param(
            told({"meta": {"tag": [{"code": "a"}, {"code": "b", "userSelected": True}, {"display": "c"}]}}),
            told({"meta": {"tag": [{"code": "b"}, {"code": "a"}]}}),
            id="tags",
        ),
        pytest.param(
            told({"meta": {"versionId": "3"}}, etag='W/"3"', location="http://127.0.0.1:1/fhir/Patient/a/_history/3"),
            told({"meta": {"versionId": "4"}}, etag='W/"4"', location="http://127.0.0.1:2/fhir/Patient/a/_history/4"),
            id="versions behind the first",
        ),
        pytest.param(Answer(GIVEN_UP), Answer(200), id="nobody waited"),
    ],
)
def test_what_a_server_makes_by_itself_is_no_difference(one: Answer, other: Answer) -> None:
    assert differences(one, other) == []


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with (
        opened_stage(tmp_path_factory.mktemp("one")) as here,
        opened_stage(tmp_path_factory.mktemp("other")) as there,
    ):
        yield Both(here, there)


@pytest.mark.parametrize("subject", ["searches", "resources", "patches", "operations"])
def test_two_that_hold_the_same_answer_alike(both: Both, tmp_path: Path, subject: str) -> None:
    record = Record(tmp_path)
    both.renew()

    walk(both, record, SUBJECTS[subject], 25, always_the_same=True)

    assert record.requests >= 25
    assert list(record.findings.values()) == []


def test_a_later_page_that_differs_is_found(both: Both, tmp_path: Path) -> None:
    both.renew()
    record, asked = Record(tmp_path), Request("GET", "/fhir/Practitioner?_id=p1,p2,p3&_sort=_id&_count=2", "system")
    for name in ("p1", "p2", "p3"):
        body = {"resourceType": "Practitioner", "id": name}
        both.ask(Request("PUT", f"/fhir/Practitioner/{name}", "system", FHIR, json.dumps(body).encode()))
    alike = both.ask(asked)
    body = {"resourceType": "Practitioner", "id": "p3", "active": True}
    both.there.ask(Request("PUT", "/fhir/Practitioner/p3", "system", FHIR, json.dumps(body).encode()))

    answer = both.ask(asked)

    assert differences(alike, alike.elsewhere or alike) == []
    kept = record.keep(asked, answer, differences(answer, answer.elsewhere or answer))
    assert kept.faults == ("differs: entry.resource.active", "differs: entry.resource.meta.versionId")
    assert "-- over HAPI 200:" in kept.body
