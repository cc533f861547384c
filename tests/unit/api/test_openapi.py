"""The description of the whole server: it names every route, refers only to what it defines, and has a page."""

import json
import re

import jsonschema_rs
import pytest
import pytest_asyncio

from fhir_facade.api.oauth.routes import DOCUMENTS_AND_TOKENS, PAGES
from fhir_facade.fhir.routes import addresses
from fhir_facade.values import Interaction
from tests.facade import embedded_facade

METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}
OPERATION = {
    "type": "object",
    "required": ["operationId", "responses", "summary"],
    "properties": {
        "tags": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "summary": {"type": "string", "minLength": 3},
        "operationId": {"type": "string", "pattern": "^[A-Za-z0-9_]+$"},
        "parameters": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "in", "schema"],
                "properties": {"in": {"enum": ["path", "query", "header", "cookie"]}},
                "if": {"properties": {"in": {"const": "path"}}},
                "then": {"required": ["required"], "properties": {"required": {"const": True}}},
            },
        },
        "requestBody": {
            "type": "object",
            "required": ["content"],
            "properties": {"content": {"type": "object", "minProperties": 1}},
        },
        "responses": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^([1-5][0-9][0-9]|default)$"},
            "additionalProperties": {"type": "object", "required": ["description"]},
        },
        "security": {"type": "array", "items": {"type": "object"}},
    },
}
DOCUMENT = {
    "type": "object",
    "required": ["openapi", "info", "paths", "components"],
    "properties": {
        "openapi": {"type": "string", "pattern": "^3\\.1\\."},
        "info": {"type": "object", "required": ["title", "version"]},
        "paths": {
            "type": "object",
            "propertyNames": {"pattern": "^/"},
            "additionalProperties": {
                "type": "object",
                "propertyNames": {"enum": sorted(METHODS)},
                "additionalProperties": OPERATION,
            },
        },
    },
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def facade(tmp_path_factory):
    async with embedded_facade(tmp_path_factory.mktemp("facade")) as facade:
        yield facade


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(facade):
    answer = await facade.anonymous.get("/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def _operations(document):
    return [(method, path, operation) for path, item in document["paths"].items() for method, operation in item.items()]


def test_it_has_the_shape_of_openapi(document):
    errors = [f"{error.instance_path}: {error.message}" for error in jsonschema_rs.iter_errors(DOCUMENT, document)]

    assert errors == []


def test_every_reference_leads_somewhere(document):
    for reference in set(re.findall(r'"\$ref": ?"#/([^"]+)"', json.dumps(document))):
        place = document
        for part in reference.split("/"):
            place = place[part]
        assert place


def test_every_security_scheme_is_defined(document):
    named = {name for *_, operation in _operations(document) for way in operation.get("security", ()) for name in way}

    assert named == {"smart", "bearer", "session", "csrf"} == set(document["components"]["securitySchemes"])


def test_operation_ids_are_unique(document):
    ids = [operation["operationId"] for *_, operation in _operations(document)]

    assert len(ids) == len(set(ids))


def test_a_list_of_the_convenience_api_says_what_each_address_does(document):
    summaries = [each["summary"] for _, path, each in _operations(document) if path.startswith(("/api/v1/", "/health"))]

    assert [text for text in summaries if len(text.split()) < 2 or text.endswith(".") or "`" in text] == []
    assert len(set(summaries)) == len(summaries)
    assert "Begin to connect a wearable" in summaries


def test_every_part_of_a_path_is_a_parameter(document):
    for _, path, operation in _operations(document):
        named = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path)), path


def test_it_names_every_interaction_that_is_answered(document):
    own = [place for place in addresses() if place[2] is not Interaction.OPERATION]
    answered = {(method.lower(), f"/fhir{path}") for method, path, _ in own}

    assert answered <= {(method, path) for method, path, _ in _operations(document)}
    assert {("get", "/fhir/{type}/{id}"), ("post", "/fhir"), ("post", "/fhir/{type}/_search")} <= answered
    assert {("get", "/fhir/metadata"), ("get", "/fhir/{type}/{id}/_history/{version}")} <= answered


def test_it_names_every_operation_with_its_parameters_and_methods(document):
    everything, added = (
        document["paths"][f"/fhir/{path}"] for path in ("Patient/{id}/$everything", "{type}/{id}/$meta-add")
    )

    assert "/fhir/{type}/{id}/_history/{version}/$meta" in document["paths"]
    assert (set(everything), set(added)) == ({"get", "post"}, {"post"})
    assert {"id", "start", "end", "_since", "_type", "_count"} == {
        each["name"] for each in everything["get"]["parameters"]
    }
    assert added["post"]["requestBody"]["required"] is True


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/fhir/{type}/{id}/_history", {"_count", "_since", "_at", "_list", "_elements", "_summary"}),
        ("/fhir/{type}/_history", {"_count", "_since", "_at", "_list", "_elements", "_summary"}),
        ("/fhir/_history", {"_count", "_since", "_at", "_list", "_elements", "_summary", "_type"}),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_it_names_the_parameters_that_a_history_takes(facade, document, path, names):
    described = {each["name"]: each for each in document["paths"][path]["get"]["parameters"] if each["in"] == "query"}
    values = {"_count": 5, "_since": "2026-01-01T00:00:00Z", "_at": "ge2026", "_list": "l", "_type": "Patient"}
    values |= {"_elements": "id", "_summary": "data"}

    assert set(described) == names
    async with await facade.client() as client:
        await client.put(
            "/fhir/List/l", json={"resourceType": "List", "id": "l", "status": "current", "mode": "working"}
        )
        address = path.replace("{type}", "List").replace("{id}", "l")
        answer = await client.get(address, params={name: values[name] for name in names})
    assert answer.status_code == 200, answer.text


def test_fhir_errors_are_operation_outcomes(document):
    read = document["paths"]["/fhir/{type}/{id}"]["get"]

    assert read["responses"]["404"]["content"]["application/fhir+json"]["schema"]["$ref"].endswith("/OperationOutcome")
    assert len(document["components"]["schemas"]["ResourceType"]["enum"]) == 146


def test_it_names_every_route_of_signing_in(document):
    routed = {(method.lower(), path) for table in (DOCUMENTS_AND_TOKENS, PAGES) for method, path, _ in table}

    assert {each for each in routed if each[0] != "options"} <= {each[:2] for each in _operations(document)}


def test_the_convenience_api_says_who_may_call_and_how_errors_look(document):
    for _, path, operation in _operations(document):
        if path.startswith("/api/v1/") and not path.endswith(("/callback", "/accounts/register")):
            assert operation["security"][0] == {"bearer": []}, path
            assert "application/problem+json" in operation["responses"]["404"]["content"], path
    assert "HTTPValidationError" not in json.dumps(document)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_page_names_every_operation_and_loads_nothing_from_elsewhere(facade, document):
    answer = await facade.anonymous.get("/docs")

    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert all(f'id="{operation["operationId"]}"' in answer.text for *_, operation in _operations(document))
    assert re.findall(r'(?:src|href)="(?:https?:)?//', answer.text) == []
    assert "<script" not in answer.text


@pytest.mark.asyncio(loop_scope="module")
async def test_asking_for_the_versions_of_fhir_is_not_told_as_the_capabilities(document):
    told = {
        method["summary"]
        for path in ("/fhir/$versions", "/fhir/metadata")
        for method in document["paths"][path].values()
    }

    assert told == {"The versions of FHIR spoken here", "What this server can do: its CapabilityStatement"}


@pytest.mark.asyncio(loop_scope="module")
async def test_the_page_says_what_a_member_takes_beside_an_example(facade):
    page = (await facade.anonymous.get("/docs")).text

    assert "height: a number in cm" in page


@pytest.mark.asyncio(loop_scope="module")
async def test_a_synchronisation_without_the_vendors_consent_is_told(document):
    answers = document["paths"]["/api/v1/connections/{connection_id}/sync"]["post"]["responses"]

    assert "application/problem+json" in answers["409"]["content"]
