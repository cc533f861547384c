"""Tags, labels and profiles come back as they were sent, whatever else was written or refused under the same code.

https://hl7.org/fhir/R4/resource.html#Meta
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fhir_facade.errors import FacadeError
from fhir_facade.values import Ref
from tests.contract.case import Case, dense

LONG = "long " * 40 + "ends"
"""More than the 200 characters that HAPI alone has room for."""
LONGEST = 768
"""As long as what a tag is found by may be: `fhir/validation/meta.py`."""


async def meta(case: Case, label: str, version: str | None = None) -> dict[str, Any]:
    """Without what the store sets."""
    ref = Ref("Patient", case.ref("Patient", label).id, version)
    found: dict[str, Any] = json.loads((await case.store.read(ref)).body)["meta"]
    return {name: value for name, value in found.items() if name not in ("versionId", "lastUpdated")}


async def test_a_long_display_takes_nothing_away(case: Case) -> None:
    """HAPI alone answers 201, and loses this tag and those before it."""
    tags = [{"system": "urn:t", "code": f"{case.name}-{n}", "display": text} for n, text in enumerate(("a", LONG, "b"))]
    labels = [{"system": "urn:s", "code": case.name, "display": LONG}]
    sent = {"tag": tags, "security": labels}

    written = await case.put("Patient", "p", meta=sent)

    assert await meta(case, "p") == sent
    assert await meta(case, "p", written.version) == sent
    assert await case.labels("Patient", f"_tag=urn:t|{case.name}-0") == ["p"]


async def test_what_has_a_long_display_can_be_written_again(case: Case) -> None:
    await case.put("Patient", "p", meta={"tag": [{"system": "urn:t", "code": case.name, "display": LONG}]})
    sent = {"tag": [{"system": "urn:t", "code": f"{case.name}-new"}]}

    again = await case.put("Patient", "p", gender="other", meta=sent)

    assert (again.change, await meta(case, "p")) == ("updated", sent)


async def test_others_of_the_same_code_keep_their_own_display(case: Case) -> None:
    sent: dict[str, dict[str, str]] = {"a": {"display": LONG}, "b": {"display": "short"}, "c": {}}
    for label, said in sent.items():
        await case.put("Patient", label, meta={"tag": [{"system": "urn:t", "code": case.name, **said}]})

    for label, said in sent.items():
        assert await meta(case, label) == {"tag": [{"system": "urn:t", "code": case.name, **said}]}
    assert await case.labels("Patient", f"_tag=urn:t|{case.name}&_sort=_id") == ["a", "b", "c"]


@pytest.mark.parametrize(
    "sent",
    [
        {"tag": [{"system": "urn:t", "version": f"http://snomed.info/sct/{'7' * 40}", "code": "v"}]},
        {"tag": [{"system": f"urn:{dense(LONGEST - 4)}", "version": dense(LONGEST), "code": dense(LONGEST)}]},
        {"security": [{"system": f"urn:{dense(LONGEST - 4)}", "code": dense(LONGEST)}]},
        {"profile": [f"http://example.org/{dense(LONGEST - 19)}"]},
        {"source": f"http://example.org/{dense(LONGEST - 19)}"},
    ],
    ids=["version", "tag", "label", "profile", "source"],
)
async def test_what_is_long_is_kept_whole(case: Case, sent: dict[str, Any]) -> None:
    await case.put("Patient", "p", meta=sent)

    assert await meta(case, "p") == sent


async def test_a_long_tag_and_profile_are_found(case: Case) -> None:
    code, profile = case.name + "c" * 500, f"http://example.org/{case.name}" + "p" * 500
    await case.put("Patient", "p", meta={"tag": [{"system": "urn:t", "code": code}], "profile": [profile]})

    assert await case.labels("Patient", f"_tag=urn:t|{code}") == ["p"]
    assert await case.labels("Patient", f"_profile={profile}") == ["p"]
    assert await case.labels("Patient", f"_tag=urn:t|{code[:-1]}") == []


async def test_a_tag_of_a_transaction_that_failed_is_not_lost_to_others(case: Case) -> None:
    sent = {"tag": [{"system": "urn:t", "code": case.name}], "profile": [f"http://example.org/{case.name}"]}
    tagged = case.put_of(case.resource("Patient", "a", meta=sent))
    dangling = case.resource("Observation", "o", subject={"reference": f"Patient/{case.name}-nobody"})
    with pytest.raises(FacadeError):
        await case.store.write([tagged, case.put_of(dangling)])

    await case.put("Patient", "b", meta=sent)

    assert await meta(case, "b") == sent
    assert await case.labels("Patient", f"_tag=urn:t|{case.name}") == ["b"]


async def test_racing_writers_lose_none_of_their_tags(case: Case) -> None:
    """HAPI tries again where both add the same tag to a resource; alone it then loses those that were new."""
    shared = {"system": "urn:t", "code": f"{case.name}-shared"}
    await case.put("Patient", "q", meta={"tag": [shared]})
    await case.put("Patient", "p")
    sent = [[{"system": "urn:t", "code": f"{case.name}-{n}"}, shared] for n in range(6)]

    written = await asyncio.gather(
        *(case.put("Patient", "p", birthDate=f"200{n}", meta={"tag": tags}) for n, tags in enumerate(sent))
    )

    for one, tags in zip(written, sent, strict=True):
        assert await meta(case, "p", one.version) == {"tag": tags}
