"""What is referred to by its canonical URL is included and searched through, as far as the caller may see it.

https://hl7.org/fhir/R4/search.html#include, https://hl7.org/fhir/R4/references.html#canonical
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.facade import Facade

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def put(client: httpx.AsyncClient, kind: str, id: str, **elements: Any) -> None:
    answer = await client.put(f"/fhir/{kind}/{id}", json={"resourceType": kind, "id": id, **elements})
    assert answer.status_code == 201, answer.text


async def forms(client: httpx.AsyncClient, mark: str) -> None:
    """Two versions of a questionnaire; Anna answers the first and whichever there is, Bert the second."""
    for version in "12":
        await put(client, "Questionnaire", f"{mark}-q{version}", status="active", url=f"urn:q:{mark}", version=version)
    for person in ("anna", "bert"):
        await put(client, "Patient", f"{mark}-{person}")
    for person, label, version in (("anna", "a1", "|1"), ("anna", "a", ""), ("bert", "b2", "|2")):
        await put(
            client,
            "QuestionnaireResponse",
            f"{mark}-{label}",
            status="completed",
            identifier={"system": "urn:test", "value": mark},
            questionnaire=f"urn:q:{mark}{version}",
            subject={"reference": f"Patient/{mark}-{person}"},
        )


async def found(client: httpx.AsyncClient, mark: str, asked: str) -> list[str]:
    answer = await client.get(f"/fhir/{asked.format(mark)}")
    assert answer.status_code == 200, answer.text
    return sorted(entry["resource"]["id"].removeprefix(f"{mark}-") for entry in answer.json().get("entry", []))


async def test_the_version_that_is_named_is_included_or_every_one(client: httpx.AsyncClient, mark: str) -> None:
    await forms(client, mark)

    for asked, expected in (
        ("_id={0}-a1&_include=QuestionnaireResponse:questionnaire", ["a1", "q1"]),
        ("_id={0}-a&_include=QuestionnaireResponse:questionnaire", ["a", "q1", "q2"]),
        ("_id={0}-a1&_include=QuestionnaireResponse:questionnaire:Questionnaire", ["a1", "q1"]),
        ("_id={0}-b2&_include=*", ["b2", "bert", "q2"]),
    ):
        assert await found(client, mark, f"QuestionnaireResponse?{asked}") == expected


async def test_what_names_a_resource_is_included(client: httpx.AsyncClient, mark: str) -> None:
    await forms(client, mark)

    for asked, expected in (
        ("_id={0}-q1&_revinclude=QuestionnaireResponse:questionnaire", ["a", "a1", "q1"]),
        ("_id={0}-q2&_revinclude=*", ["a", "b2", "q2"]),
        (
            "_id={0}-q2&_revinclude=QuestionnaireResponse:questionnaire&_include:iterate=QuestionnaireResponse:subject",
            ["a", "anna", "b2", "bert", "q2"],
        ),
    ):
        assert await found(client, mark, f"Questionnaire?{asked}") == expected


async def test_nobody_finds_by_a_canonical_what_is_somebody_elses(
    facade: Facade, client: httpx.AsyncClient, mark: str
) -> None:
    await forms(client, mark)
    scope = "patient/QuestionnaireResponse.rs patient/Questionnaire.rs patient/Patient.rs"

    async with await facade.client(scope, patient=f"{mark}-anna") as anna:
        own = await found(anna, mark, "Questionnaire?url=urn:q:{0}&_revinclude=QuestionnaireResponse:questionnaire")
        chained = await found(anna, mark, "QuestionnaireResponse?questionnaire.version=2")
        has = [
            await anna.get(f"/fhir/Questionnaire?_has:QuestionnaireResponse:questionnaire:subject=Patient/{mark}-{who}")
            for who in ("bert", "nobody")
        ]

    assert (own, chained) == (["a", "a1", "q1", "q2"], ["a"])
    assert [answer.status_code for answer in has] == [403, 403]
    assert has[0].json()["issue"] == has[1].json()["issue"]


async def test_who_may_not_see_the_questionnaires_learns_nothing_of_them(
    facade: Facade, client: httpx.AsyncClient, mark: str
) -> None:
    await forms(client, mark)

    async with await facade.client("patient/QuestionnaireResponse.rs", patient=f"{mark}-anna") as anna:
        refused = [
            await anna.get(f"/fhir/QuestionnaireResponse?{asked}")
            for asked in ("questionnaire.version=1", "questionnaire.version=9", "_include=QuestionnaireResponse:*")
        ]
        star = await found(anna, mark, "QuestionnaireResponse?_id={0}-a1&_include=QuestionnaireResponse:*")

    assert [answer.status_code for answer in refused] == [403, 403, 200]
    assert refused[0].json()["issue"] == refused[1].json()["issue"]
    assert star == ["a1"]
