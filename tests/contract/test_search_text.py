"""`_text` and `_content`: https://hl7.org/fhir/R4/search.html#content. HAPI has them only with a full-text index."""

from __future__ import annotations

import pytest

from fhir_facade.errors import BadRequest
from tests.contract.case import Case


def told(div: str) -> dict[str, str]:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{div}</div>'}


@pytest.fixture
async def notes(case: Case) -> Case:
    await case.put("Observation", "arm", text=told("<p>Broken <b>Arm</b></p>"), note=[{"text": "healing well"}])
    await case.put("Observation", "hip", text=told("Hip joint"), valueString="Fémur, broken")
    return case


@pytest.fixture
def has_full_text(request: pytest.FixtureRequest) -> bool:
    return "[hapi-over-mirror" in request.node.name or "[embedded" in request.node.name


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("_text=broken", ["arm"], id="in the narrative"),
        pytest.param("_content=broken", ["arm", "hip"], id="anywhere"),
        pytest.param("_content=femur", ["hip"], id="without accents"),
        pytest.param("_content=(healing or femur) and broken", ["arm", "hip"], id="joined"),
        pytest.param('_text="joint hip"', [], id="not in this order"),
        pytest.param("_text=joi*", ["hip"], id="the beginning of a word"),
        pytest.param("_text=arm,joint", ["arm", "hip"], id="alternatives"),
        pytest.param("_text=b", [], id="not the markup"),
    ],
)
async def test_words_are_found_or_the_store_says_that_it_cannot(
    notes: Case, has_full_text: bool, asked: str, found: list[str]
) -> None:
    if not has_full_text:
        with pytest.raises(BadRequest, match="Fulltext search is not enabled"):
            await notes.labels("Observation", f"{asked}&_sort=_id")
        return
    assert await notes.labels("Observation", f"{asked}&_sort=_id") == found


async def test_words_are_found_as_they_are_now(notes: Case, has_full_text: bool) -> None:
    if not has_full_text:
        pytest.skip("this HAPI has no full-text index: it says so, as the test above shows")
    assert await notes.labels("Observation", "_content=healing") == ["arm"]

    await notes.put("Observation", "arm", note=[{"text": "healed"}])
    await notes.put("Observation", "new", note=[{"text": "healing"}])
    await notes.delete(notes.ref("Observation", "hip"))

    assert await notes.labels("Observation", "_content=healing") == ["new"]
    assert await notes.labels("Observation", "_content=healed") == ["arm"]
    assert await notes.labels("Observation", "_content=femur") == []
    assert await notes.labels("Observation", "has-member:Observation._content=healed") == []
