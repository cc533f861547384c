"""A fuzzer that accepts everything finds nothing: each fault is seen, and what is right is left in peace."""

from __future__ import annotations

import json
import random

import pytest

from tests.fuzz.fitting import fitting
from tests.fuzz.judge import faults
from tests.fuzz.record import Counts, Record, kind_of
from tests.fuzz.wire import GIVEN_UP, Answer, Request, rendered

OUTCOME = json.dumps({"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]}).encode()
PROBLEM = json.dumps({"title": "invalid", "status": 400, "detail": "no"}).encode()


def answer(status: int, body: bytes = b"", kind: str = "application/fhir+json", seconds: float = 0.1) -> Answer:
    return Answer(status, {"content-type": kind}, body, seconds)


FHIR = Request("GET", "/fhir/Patient/x?name=y")
OAUTH = Request("POST", "/oauth/token")
V1 = Request("GET", "/api/v1/me")
PAGE = Request("GET", "/apps")


@pytest.mark.parametrize(
    ("request_", "given", "kind"),
    [
        pytest.param(FHIR, Answer(0), "dropped", id="nothing came back"),
        pytest.param(FHIR, answer(500, OUTCOME), "500", id="a defect told properly"),
        pytest.param(FHIR, answer(502, OUTCOME), "502", id="nonsense from behind"),
        pytest.param(FHIR, answer(200, b'{"resourceType":"Patient"}', seconds=11), "slow", id="eleven seconds"),
        pytest.param(
            PAGE, answer(200, b"Traceback (most recent call last):", "text/html"), "trace", id="a trace on a page"
        ),
        pytest.param(
            FHIR, answer(400, OUTCOME.replace(b"error", b"KeyError: 'x'")), "repr", id="a Python error in an outcome"
        ),
        pytest.param(
            FHIR, answer(400, OUTCOME.replace(b"error", b"not b'x' here")), "repr", id="bytes of Python in a text"
        ),
        pytest.param(FHIR, answer(404, b"not found", "text/plain"), "shape", id="a bare word for a FHIR client"),
        pytest.param(FHIR, answer(400, b'{"resourceType":"OperationOutcome","issue":[]}'), "shape", id="no issue"),
        pytest.param(FHIR, answer(400, b""), "shape", id="an empty refusal"),
        pytest.param(FHIR, answer(200, b"{"), "shape", id="half a resource"),
        pytest.param(FHIR, answer(200, b'{"resourceType":"Basic","x":"\\ud800"}'), "shape", id="a lone surrogate"),
        pytest.param(
            FHIR,
            answer(200, b'{"resourceType":"Bundle","entry":[{"response":{"status":"500 x"}}]}'),
            "entry",
            id="a defect inside a batch",
        ),
        pytest.param(OAUTH, answer(400, b'{"detail":"x"}', "application/json"), "shape", id="no error for an app"),
        pytest.param(V1, answer(400, b'{"detail":"x"}', "application/json"), "shape", id="a framework's own words"),
        pytest.param(V1, answer(404, b"<html><main>", "text/html"), "shape", id="a page for a program"),
        pytest.param(PAGE, answer(404, b"<h1>Not Found</h1>", "text/html"), "shape", id="a page that is not ours"),
    ],
)
def test_what_no_answer_may_be_is_found(request_: Request, given: Answer, kind: str) -> None:
    found = faults(request_, given)

    assert [fault.partition(":")[0] for fault in found] == [kind]


@pytest.mark.parametrize(
    ("request_", "given"),
    [
        pytest.param(FHIR, answer(400, OUTCOME), id="an OperationOutcome"),
        pytest.param(FHIR, answer(501, OUTCOME), id="not built, and says so"),
        pytest.param(FHIR, answer(200, b'{"resourceType":"Patient"}'), id="a resource"),
        pytest.param(Request("HEAD", "/fhir/Patient/x"), answer(404), id="HEAD has no body"),
        pytest.param(OAUTH, answer(401, b'{"error":"invalid_client"}', "application/json"), id="an OAuth error"),
        pytest.param(V1, answer(400, PROBLEM, "application/problem+json"), id="a problem document"),
        pytest.param(PAGE, answer(404, b"<html><main>", "text/html"), id="a page of ours"),
        pytest.param(
            Request("GET", "/fhir/x?name=KeyError"),
            answer(400, OUTCOME.replace(b"error", b"KeyError")),
            id="the caller's own words",
        ),
        pytest.param(
            Request("GET", "/fhir/ValueSet/$validate-code?display=%08%27"),
            answer(400, OUTCOME.replace(b"error", b'display=\\b\': no text", "text": "it takes \'url\'')),
            id="a backspace and a quote of the caller's, and a quote of ours in another text",
        ),
        pytest.param(
            Request("GET", "/fhir/b%27/b%27"),
            answer(404, OUTCOME.replace(b"error", b"/b'/b' is no address")),
            id="the caller's own words, encoded",
        ),
    ],
)
def test_what_is_right_is_left_in_peace(request_: Request, given: Answer) -> None:
    assert faults(request_, given) == []


def test_findings_alike_are_one_and_the_shortest_request_is_kept(tmp_path) -> None:
    record = Record(tmp_path)
    wrong = answer(500, OUTCOME)

    for target in ("/fhir/Patient/12", "/fhir/Patient/1", "/fhir/Patient/123"):
        request = Request("GET", target)
        record.keep(request, wrong, faults(request, wrong))

    (kept,) = record.findings.values()
    assert kept.request.target == "/fhir/Patient/1"
    assert record.path_of(kept).exists()


def test_what_only_the_log_tells_is_read_once(tmp_path) -> None:
    log = tmp_path / "log"
    log.write_text('{"level":"info"}\n{"level":"error","event":"job.failed"}\n')
    record = Record(tmp_path, log)

    assert record.written() == ['{"level":"error","event":"job.failed"}']
    assert record.written() == []


def test_the_sum_tells_which_requests_have_no_answer_to_judge_and_which_took_longest(tmp_path) -> None:
    record, elsewhere = Record(tmp_path), Record(tmp_path)
    record.seen(FHIR, answer(200, seconds=2))
    record.seen(Request("POST", "/fhir/Patient?x", given_up=True), Answer(GIVEN_UP))
    elsewhere.seen(FHIR, answer(503, OUTCOME, seconds=3))

    record.add(Counts(elsewhere.requests, elsewhere.statuses, list(elsewhere.named.items()), elsewhere.slowest))

    assert record.sums() == [
        "3 requests (200: 1, cut off by us on purpose: 1, 503: 1)",
        "      1 cut off by us on purpose: POST /fhir/Patient",
        f"      1 503: GET /fhir/Patient/x?name=y {OUTCOME.decode()}",
        "  3.00 s 503 GET /fhir/Patient/x?name=y",
        "  2.00 s 200 GET /fhir/Patient/x?name=y",
        "  0.00 s 499 POST /fhir/Patient?x",
    ]


def test_above_and_below_are_asked_of_places_that_have_parts() -> None:
    chance = random.Random(1)
    asked = [fitting("Encounter", "location", chance) for _ in range(100)]

    places = {value for name, value in asked if name in ("location:above", "location:below")}
    assert places >= {"Location/ward", "Location/bed", "Location/x"}


def test_a_finding_is_named_by_the_line_of_the_program_where_the_log_tells_it() -> None:
    trace = 'Traceback\n  File "a.py", line 1, in x\n  File "b.py", line 2, in y\nKeyError: 3'

    assert kind_of(FHIR, ("500: a defect",), trace) == '500 in File "b.py", line 2, in y'


def test_a_request_goes_out_as_it_was_meant() -> None:
    request = Request("POST", "/x/{id}", "anna", (("A", "\xff"),), b"csrf={csrf}", chunk=4)

    sent = rendered(request, "h:1", {"Cookie": "c"}, {"csrf": "t", "id": "7"})

    assert sent == (
        b"POST /x/7 HTTP/1.1\r\nHost: h:1\r\nCookie: c\r\nA: \xff\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"4\r\ncsrf\r\n2\r\n=t\r\n0\r\n\r\n"
    )
