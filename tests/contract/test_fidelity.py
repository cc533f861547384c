"""What was written is what is read, to the last digit: https://hl7.org/fhir/R4/datatypes.html#decimal.

Left out is what HAPI rewrites (docs/run-on-hapi.md): exponents, negative zero, the order of members, empty arrays and
white space in narratives. So values are compared as JSON values with numbers as text.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_facade.values import Ref
from tests.contract.case import Case


def as_text(body: bytes) -> Any:
    """A JSON value whose numbers are the texts they were written as, without what a store sets."""
    document = json.loads(body, parse_float=str, parse_int=str)
    document["meta"] = {name: v for name, v in document.get("meta", {}).items() if name not in STAMPS}
    return document


STAMPS = ("versionId", "lastUpdated")
DECIMALS = [
    "1.50",
    "0.010",
    "37.0",
    "-0.5",
    "100",
    "0.1234567890123456789012345678901234567890",
    "12345678901234567890.5",
]


@pytest.mark.parametrize("decimal", DECIMALS)
async def test_a_decimal_keeps_its_digits(case: Case, decimal: str) -> None:
    body = case.put_of(case.resource("Observation", "o", valueQuantity={"value": "DECIMAL"})).body
    body = body.replace(b'"DECIMAL"', decimal.encode())

    written = await case.put_resource(body)

    read = await case.store.read(written.ref)
    page = await case.search("Observation")
    old = await case.store.read(Ref("Observation", written.id, written.version))
    for answer in (written, read, page.entries[0], old):
        assert as_text(answer.body)["valueQuantity"]["value"] == decimal


@pytest.mark.parametrize("decimal", DECIMALS)
async def test_a_decimal_keeps_its_digits_in_a_transaction(case: Case, decimal: str) -> None:
    body = case.put_of(case.resource("Observation", "o", valueQuantity={"value": "DECIMAL"})).body
    body = body.replace(b'"DECIMAL"', decimal.encode())

    written, _ = await case.store.write([case.put_of(body), case.put_of(case.resource("Patient", "p"))])

    assert as_text(written.body)["valueQuantity"]["value"] == decimal
    assert as_text((await case.store.read(written.ref)).body)["valueQuantity"]["value"] == decimal


PLAIN = st.from_regex(r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?", fullmatch=True)
ANY_FORM = st.from_regex(r"-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,8})?[eE][+-]?[0-9]{1,2}", fullmatch=True) | PLAIN


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(ANY_FORM, min_size=1, max_size=20))
async def test_any_number_keeps_its_digits(case: Case, request: pytest.FixtureRequest, numbers: list[str]) -> None:
    """HAPI writes exponents out and knows no negative zero: there such numbers keep their value."""
    parts = ",".join(
        f'{{"code":{{"text":"x"}},"valueQuantity":{{"value":{number}}},'
        f'"extension":[{{"url":"http://example.org/e","valueDecimal":{number}}}]}}'
        for number in numbers
    )
    body = case.put_of(case.resource("Observation", "o")).body[:-1] + f',"component":[{parts}]}}'.encode()

    written = await case.put_resource(body)

    page = await case.search("Observation")
    for answer in (written, await case.store.read(written.ref), page.entries[0]):
        for asked, kept in zip(numbers, as_text(answer.body)["component"], strict=True):
            found = (kept["valueQuantity"]["value"], kept["extension"][0]["valueDecimal"])
            exact = "[hapi]" not in request.node.name or not (set("eE") & set(asked) or is_negative_zero(asked))
            if exact:
                assert found == (asked, asked)
            else:
                assert {Decimal(text) for text in found} == {Decimal(asked)}


def is_negative_zero(number: str) -> bool:
    return number.startswith("-") and not number.strip("-0.")


@pytest.mark.parametrize(
    "moment",
    [
        "2026",
        "2026-02",
        "2026-02-28",
        "2026-02-28T10:00:00Z",
        "2026-02-28T10:00:00.120Z",
        "2026-02-28T10:00:00.1234567890Z",
        "2026-02-28T10:00:00-00:00",
        "2026-02-28T10:00:00.5+05:30",
    ],
)
async def test_a_date_keeps_its_precision_and_zone(case: Case, moment: str) -> None:
    written = await case.put("Observation", "o", effectiveDateTime=moment)

    assert json.loads((await case.store.read(written.ref)).body)["effectiveDateTime"] == moment


async def test_a_rich_resource_comes_back_as_the_same_value(case: Case) -> None:
    resource = case.resource(
        "Patient",
        "p",
        meta={
            "source": "https://example.org/feed",
            "profile": ["http://hl7.org/fhir/StructureDefinition/Patient"],
            "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}],
            "tag": [{"system": "urn:t", "code": case.name, "display": "A tag"}],
        },
        language="de",
        extension=[{"url": "http://example.org/e", "valueDecimal": 3.5}],
        contained=[{"resourceType": "Organization", "id": "o", "name": "Ärzte \u2028 & <Söhne> \U0001f600"}],
        active=False,
        name=[{"family": "O'\"Brien\\ \t", "given": ["A", None, "C"], "_given": [None, {"extension": [ABSENT]}, None]}],
        _birthDate={"extension": [ABSENT]},
        managingOrganization={"reference": "#o"},
        photo=[{"contentType": "image/png", "data": "iVBORw0KGgo="}],
    )

    written = await case.put_resource(resource)

    read = await case.store.read(written.ref)
    assert as_text(read.body) == as_text(json.dumps(resource).encode())


ABSENT = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}


@pytest.mark.parametrize("kind", ["collection", "searchset", "batch-response"])
async def test_a_bundle_is_kept_as_it_is(case: Case, kind: str) -> None:
    resource = {"resourceType": "Patient", "gender": "other"}
    bundle = case.resource("Bundle", "b", type=kind)
    entry: dict[str, Any] = {"fullUrl": "http://elsewhere.example/Patient/7", "resource": resource}
    bundle |= {
        "identifier": {"system": "urn:case", "value": case.name},
        "entry": [entry | ({"response": {"status": "200 OK"}} if kind == "batch-response" else {})],
    }

    written = await case.put_resource(bundle)

    assert as_text((await case.store.read(written.ref)).body) == as_text(json.dumps(bundle | {"meta": {}}).encode())


async def test_the_word_source_elsewhere_is_left_alone(case: Case) -> None:
    resource = case.resource("Provenance", "v", recorded="2026-01-01T00:00:00Z")
    elements = {
        "target": [{"display": 'the "source":"#x"'}],
        "agent": [{"who": {"display": "x"}}],
        "entity": [{"role": "source", "what": {"reference": "#b"}}],
        "contained": [{"resourceType": "Basic", "id": "b", "meta": {"source": "urn:a#b"}, "code": {"text": "t"}}],
    }
    del resource["identifier"]

    written = await case.put_resource(resource | elements)

    read = json.loads((await case.store.read(written.ref)).body)
    assert read["target"] == elements["target"]
    assert "source" not in read["meta"]
