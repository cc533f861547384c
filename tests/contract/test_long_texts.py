"""What R4 lets be long is stored and found on each store: units, addresses of other servers, canonical URLs."""

from __future__ import annotations

import json
from string import ascii_letters
from typing import Any

import pytest

from tests.contract.case import Case, dense

LENGTHS = (300, 740)
"""More than the 200 and the 500 characters that HAPI alone has room for, and as many as a search may be about."""
VERY_LONG = 20_000


async def kept(case: Case, type: str, **elements: Any) -> None:
    written = await case.put(type, "a", **elements)

    read = json.loads((await case.store.read(written.ref)).body)
    assert {name: read[name] for name in elements} == elements


@pytest.mark.parametrize("length", LENGTHS)
async def test_a_reference_to_another_server(case: Case, length: int) -> None:
    reference = f"http://example.org/Organization/{dense(length - 32)}"

    await kept(case, "Patient", managingOrganization={"reference": reference})

    assert await case.labels("Patient", f"organization={reference}") == ["a"]
    assert await case.labels("Patient", f"organization={reference[:-1]}") == []


@pytest.mark.parametrize("length", LENGTHS)
async def test_a_canonical_url(case: Case, length: int) -> None:
    url = f"http://example.org/Questionnaire/{dense(length - 33)}"
    mark = {"system": "urn:case", "value": case.name}

    await kept(case, "QuestionnaireResponse", status="completed", questionnaire=url, identifier=mark)

    assert await case.labels("QuestionnaireResponse", f"questionnaire={url}") == ["a"]


@pytest.mark.parametrize("length", LENGTHS)
async def test_a_uri(case: Case, length: int) -> None:
    url = f"http://example.org/{dense(length - 19)}"

    await kept(case, "ValueSet", url=url)

    assert await case.labels("ValueSet", f"url={url}") == ["a"]
    assert await case.labels("ValueSet", f"url={url[:-1]}") == []
    assert await case.labels("ValueSet", f"url:below={url[:-1]}") == ["a"]


@pytest.mark.parametrize("length", LENGTHS)
async def test_a_unit(case: Case, length: int) -> None:
    system, code, unit = f"urn:{dense(length)}", dense(length - 100), dense(length - 101)
    quantity = {"value": 1, "unit": unit, "system": system, "code": code}

    await kept(case, "Observation", valueQuantity=quantity)

    assert await case.labels("Observation", f"value-quantity=1||{code}") == ["a"]
    assert await case.labels("Observation", f"value-quantity=1||{unit}") == ["a"]


@pytest.mark.parametrize(
    "alphabet",
    [ascii_letters, "".join(map(chr, range(0xC0, 0x180))), "".join(map(chr, range(0x1F300, 0x1F600)))],
    ids=["one byte each", "two bytes", "four bytes"],
)
async def test_an_address_that_no_search_can_be_about(case: Case, alphabet: str) -> None:
    """HAPI finds it by its beginning; PostgreSQL has no index for so much."""
    url = "http://example.org/a" + dense(VERY_LONG, alphabet)

    await kept(case, "ValueSet", url=url)
    await kept(case, "Patient", managingOrganization={"reference": url})
    content = [{"attachment": {"contentType": "image/png", "url": "data:image/png;base64," + dense(VERY_LONG)}}]
    await kept(case, "DocumentReference", status="current", content=content)

    assert await case.labels("ValueSet", f"url:below={url[:100]}") == ["a"]
    assert await case.labels("Patient", "organization:missing=false") == ["a"]


@pytest.mark.parametrize("length", LENGTHS)
async def test_identifiers_and_codes_that_begin_alike_are_different(case: Case, length: int) -> None:
    alike = dense(length)
    for label in "ab":
        mark = [{"system": "urn:case", "value": case.name}, {"system": f"urn:{alike}", "value": f"{alike}{label}"}]
        coding = [{"system": f"urn:{alike}{label}", "code": "x"}]
        await case.put("Observation", label, identifier=mark, code={"coding": coding})

    assert await case.labels("Observation", f"identifier={alike}a") == ["a"]
    assert await case.labels("Observation", f"identifier=urn:{alike[:200]}|{alike}b") == []
    assert await case.labels("Observation", f"code=urn:{alike}b|x") == ["b"]
    assert await case.labels("Observation", f"code=urn:{alike}a|") == ["a"]


async def test_texts_that_begin_alike_are_different(case: Case) -> None:
    alike = dense(767)
    for label in "ab":
        await case.put("Patient", label, name=[{"family": f"{alike}{label}"}])

    assert await case.labels("Patient", f"family:exact={alike}a") == ["a"]
    assert await case.labels("Patient", f"family={alike}b") == ["b"]
