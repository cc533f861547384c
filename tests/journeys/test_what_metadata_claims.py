"""Everything that /fhir/metadata claims is there, and nothing is there that it does not claim."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_facade.errors import BadRequest, NotSupported
from fhir_facade.fhir.definitions import resource_types, search_parameters
from fhir_facade.fhir.query import parse_query
from tests.facade import Facade, embedded_facade

FHIR = {"Content-Type": "application/fhir+json"}
PATIENT = {"resourceType": "Patient", "id": "p", "identifier": [{"system": "urn:i", "value": "1"}], "active": True}
Statement = dict[str, Any]


@pytest.fixture
async def facade(tmp_path: Path) -> AsyncIterator[Facade]:
    async with embedded_facade(tmp_path) as opened:
        yield opened


@pytest.fixture
async def client(facade: Facade) -> AsyncIterator[httpx.AsyncClient]:
    async with await facade.client() as opened:
        opened.headers.update(FHIR)
        assert (await opened.put("/fhir/Patient/p", json=PATIENT)).status_code == 201
        yield opened


@pytest.fixture
async def statement(facade: Facade) -> Statement:
    async with facade.anonymous as nobody:
        found: Statement = (await nobody.get("/fhir/metadata")).json()["rest"][0]
    return found


def of_type(statement: Statement, kind: str) -> Statement:
    (found,) = [one for one in statement["resource"] if one["type"] == kind]
    return found


BUNDLE = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": "Patient/p"}}]}
REQUESTS: dict[str, tuple[str, str, Any]] = {
    "read": ("GET", "Patient/p", None),
    "vread": ("GET", "Patient/p/_history/1", None),
    "update": ("PUT", "Patient/p", PATIENT | {"active": False}),
    "patch": ("PATCH", "Patient/p", {"gender": "female"}),
    "history-instance": ("GET", "Patient/p/_history", None),
    "history-type": ("GET", "Patient/_history", None),
    "history-system": ("GET", "_history", None),
    "create": ("POST", "Patient", PATIENT),
    "search-type": ("GET", "Patient?active=true", None),
    "search-system": ("GET", "?_type=Patient", None),
    "batch": ("POST", "", BUNDLE),
    "transaction": ("POST", "", BUNDLE | {"type": "transaction"}),
    "capabilities": ("GET", "metadata", None),
    "delete": ("DELETE", "Patient/p", None),
}


async def test_each_interaction_is_answered_exactly_when_it_is_announced(
    client: httpx.AsyncClient, statement: Statement
) -> None:
    announced = {one["code"] for one in (*of_type(statement, "Patient")["interaction"], *statement["interaction"])}
    answered = set()
    for code, (method, path, body) in REQUESTS.items():
        kind = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else None
        status = (await client.request(method, f"/fhir/{path}", json=body, headers=kind)).status_code
        assert status < 300 or status == 405, (code, status)
        answered |= {code} if status < 300 else set()

    assert answered == announced | {"capabilities"}


async def test_exactly_the_operations_that_are_announced_are_there(
    client: httpx.AsyncClient, statement: Statement
) -> None:
    announced = {kind: named(of_type(statement, kind)) for kind in ("Patient", "Observation", "CodeSystem")}
    announced[""] = named(statement)
    for kind, names in announced.items():
        for name in {*names, "lastn", "everything", "convert"}:
            places = [f"{kind}/${name}", f"{kind}/p/${name}"] if kind else [f"${name}"]
            texts = [(await client.get(f"/fhir/{place}")).text for place in places]
            assert any("is no operation of" not in text for text in texts) is (name in names), (kind, name)


def named(offering: Statement) -> set[str]:
    return {one["name"] for one in offering["operation"]}


NOT_THERE = [
    *("$export", "Patient/$export", "Patient/p/$export", "Group/g/$export", "$export-poll-status", "$import"),
    *("Subscription/$status", "Subscription/s/$events", "Subscription/s/$get-ws-binding-token", "SubscriptionTopic"),
    *("ws", "websocket", "bulkstatus", "$graphql"),
]


@pytest.mark.parametrize("path", NOT_THERE)
async def test_what_other_servers_have_and_this_one_has_not_is_refused_for_everybody(
    facade: Facade, client: httpx.AsyncClient, path: str
) -> None:
    """Neither a service nor nobody at all is told of work that was begun, or of a place to ask again."""
    asynchronous = {"Prefer": "respond-async", "Accept": "application/fhir+json"}
    async with facade.anonymous as nobody:
        answers = [
            await who.request(method, f"/fhir/{path}", headers=asynchronous, json=body)
            for who in (client, nobody)
            for method, body in (("GET", None), ("POST", {"resourceType": "Parameters"}), ("DELETE", None))
        ]

    for answer in answers:
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.json()["issue"][0]["diagnostics"]
        assert "content-location" not in answer.headers


@pytest.mark.parametrize(
    "path",
    ["/fhir/metadata", "/fhir/.well-known/smart-configuration", "/openapi.json", "/fhir/metadata?mode=terminology"],
)
async def test_what_is_not_there_is_announced_nowhere(facade: Facade, path: str) -> None:
    async with facade.anonymous as nobody:
        told = (await nobody.get(path)).text.lower()

    assert "{" in told
    for word in ("$export", "bulk", "websocket", "ws-binding", "subscription-topic", "backport", "asyncapi"):
        assert word not in told


async def test_a_subscription_is_a_record_and_the_statement_says_that_nothing_is_sent_for_it(
    client: httpx.AsyncClient,
) -> None:
    """An import from another server loses none."""
    live = {"resourceType": "Subscription", "status": "active", "reason": "kept", "criteria": "Observation?code=x"}
    made = await client.post("/fhir/Subscription", json=live | {"channel": {"type": "websocket"}})
    statement = (await client.get("/fhir/metadata")).json()

    assert made.status_code == 201
    assert made.json()["status"] == "active"
    (told,) = [one for one in statement["rest"][0]["resource"] if one["type"] == "Subscription"]
    assert "nothing is sent" in told["documentation"]


ELSEWHERE = {"_content", "_filter", "_has", "_list", "_text", "_type"}
OF_EVERY_TYPE = {"_id", "_lastUpdated", "_profile", "_security", "_source", "_tag"}
WITHOUT_MISSING = {"near": ("near", "48.4|9.99")}
"""How a parameter is asked that does not take `:missing`."""


async def test_every_search_parameter_that_is_announced_can_be_searched_and_no_other(
    facade: Facade, statement: Statement
) -> None:
    """`:missing` reaches the index rows of a parameter without knowing a value for it."""
    everywhere = {one["name"] for one in statement["searchParam"]}
    for kind in resource_types():
        announced = {one["name"]: one["type"] for one in of_type(statement, kind).get("searchParam", [])}
        assert everywhere == ELSEWHERE | OF_EVERY_TYPE
        if kind == "AuditEvent":  # searched in the audit, not in the store
            continue
        for name in announced:
            asked = WITHOUT_MISSING.get(name, (f"{name}:missing", "false"))
            query = parse_query(kind, [asked], now=facade.ports.clock.now()).query
            assert list((await facade.ports.store.search(query)).entries) == []
        for name, own in search_parameters(kind).items():
            assert (name in announced) is (name not in ELSEWHERE and await searchable(facade, kind, name)), (
                kind,
                name,
            )
            assert announced.get(name, own.kind) == own.kind


SOME = {"token": "x", "reference": "Patient/x", "date": "2020", "string": "x", "uri": "urn:x"}


async def test_audit_events_are_searched_by_what_is_announced_and_nothing_else(
    client: httpx.AsyncClient, statement: Statement
) -> None:
    announced = {one["name"] for one in of_type(statement, "AuditEvent")["searchParam"]}

    answered = set()
    for name, own in search_parameters("AuditEvent").items():
        answer = await client.get("/fhir/AuditEvent", params={name: SOME.get(own.kind, "x")})
        assert answer.status_code in (200, 400), (name, answer.text)
        answered |= {name} if answer.status_code == 200 else set()

    assert answered - ELSEWHERE == announced


async def searchable(facade: Facade, kind: str, name: str) -> bool:
    try:
        asked = WITHOUT_MISSING.get(name, (f"{name}:missing", "true"))
        query = parse_query(kind, [asked], now=facade.ports.clock.now()).query
        await facade.ports.store.search(query)
    except (BadRequest, NotSupported):
        return False
    return True


async def test_every_include_that_is_announced_is_taken(client: httpx.AsyncClient, statement: Statement) -> None:
    for own in statement["resource"]:
        for word, listed in (("_include", "searchInclude"), ("_revinclude", "searchRevInclude")):
            for include in own.get(listed, []):
                parse_query(own["type"], [(word, include)], now=datetime.now(UTC))
    patient = of_type(statement, "Patient")
    includes = "&".join(f"_include={one}" for one in patient["searchInclude"])

    assert (await client.get(f"/fhir/Patient?{includes}")).status_code == 200
    assert (await client.get("/fhir/Patient?_revinclude=Observation:subject")).status_code == 200


async def test_the_sign_in_is_where_every_document_says(facade: Facade, statement: Statement) -> None:
    (extension,) = statement["security"]["extension"]
    uris = {one["url"]: one["valueUri"] for one in extension["extension"]}
    async with facade.anonymous as nobody:
        smart = (await nobody.get("/fhir/.well-known/smart-configuration")).json()
        openid = (await nobody.get("/.well-known/openid-configuration")).json()

    names = {
        "authorize": "authorization",
        "token": "token",
        "introspect": "introspection",
        "revoke": "revocation",
        "register": "registration",
        "manage": "management",
    }
    assert uris == {name: smart[f"{word}_endpoint"] for name, word in names.items()}
    assert uris == {name: openid.get(f"{word}_endpoint", uris[name]) for name, word in names.items()}


NO_PATH = {"name": "path", "valueString": "Patient.photo"}


async def test_exactly_the_patch_formats_that_are_announced_are_taken(
    facade: Facade, client: httpx.AsyncClient
) -> None:
    whole = (await client.get("/fhir/metadata")).json()
    nothing = {"name": "operation", "part": [{"name": "type", "valueCode": "delete"}, NO_PATH]}
    formats = {
        "application/json-patch+json": [],
        "application/merge-patch+json": {},
        "application/fhir+json": {"resourceType": "Parameters", "parameter": [nothing]},
        "application/xml-patch+xml": {},
        "application/json": {},
    }

    taken = set()
    for kind, body in formats.items():
        answer = await client.patch("/fhir/Patient/p", json=body, headers={"Content-Type": kind})
        taken |= {kind} if answer.status_code == 200 else set()
        assert answer.status_code in (200, 415), (kind, answer.text)

    assert taken == {*whole["patchFormat"], "application/json"}, "plain JSON means what the body looks like"


async def test_the_formats_that_are_announced_are_the_ones_that_are_spoken(client: httpx.AsyncClient) -> None:
    formats = (await client.get("/fhir/metadata")).json()["format"]

    statuses = {kind: (await client.get(f"/fhir/Patient/p?_format={kind}")).status_code for kind in formats}

    assert set(statuses.values()) == {200}
    assert (await client.get("/fhir/Patient/p?_format=xml")).status_code == 406


async def test_conditional_requests_do_what_is_announced(client: httpx.AsyncClient, statement: Statement) -> None:
    patient = of_type(statement, "Patient")
    read = await client.get("/fhir/Patient/p")
    etag, when = read.headers["ETag"], read.headers["Last-Modified"]

    assert patient["conditionalRead"] == "full-support"
    for header in ({"If-None-Match": etag}, {"If-Modified-Since": when}):
        assert (await client.get("/fhir/Patient/p", headers=header)).status_code == 304
    assert patient["conditionalCreate"] is True
    again = await client.post("/fhir/Patient", json=PATIENT, headers={"If-None-Exist": "identifier=urn:i|1"})
    assert (again.status_code, again.json()["id"]) == (200, "p")
    assert (patient["conditionalUpdate"], patient["conditionalDelete"]) == (True, "single")
    assert (await client.put("/fhir/Patient?identifier=urn:i|1", json=PATIENT)).headers["ETag"] == etag
    assert (await client.delete("/fhir/Patient?identifier=urn:i|1")).status_code == 200
    assert (await client.get("/fhir/Patient/p")).status_code == 410


async def test_a_resource_may_be_written_under_an_id_of_the_clients_choice(
    client: httpx.AsyncClient, statement: Statement
) -> None:
    assert of_type(statement, "Organization")["updateCreate"] is True
    chosen = {"resourceType": "Organization", "id": "chosen", "name": "x"}

    assert (await client.put("/fhir/Organization/chosen", json=chosen)).status_code == 201
