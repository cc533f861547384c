"""A patch and a read give what the same changes give on plain lists and dicts, in each of the three languages.

https://hl7.org/fhir/R4/http.html#patch. The changes are done twice: by the server, and by ten lines of Python here that
know nothing of patches. Numbers are compared digit by digit.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.promises.world import World, opened_world

Resource = dict[str, Any]
TEXTS = st.text(st.sampled_from('abzÄß€ \U0001f600"\\/{}'), min_size=1, max_size=6).map(lambda text: f"x{text}x")
NUMBERS = st.from_regex(r"(0|[1-9][0-9]{0,8})\.[0-9]{1,12}", fullmatch=True).map("§{}§".format)
"""A number between two signs that stand nowhere else: they go when it is sent, and come back when it is read."""


@dataclass(frozen=True)
class Edit:
    """`way` on the member, at a place of it when it is a list. `to` is where a moved item goes."""

    way: str
    member: str
    index: int = 0
    value: Any = None
    to: int = 0


def done(edit: Edit, resource: Resource) -> None:
    """The change itself."""
    *owners, member = edit.member.split(".")
    owner = resource
    for name in owners:
        owner = owner[name]
    if edit.way == "set":
        owner[member] = edit.value
    elif edit.way == "drop":
        del owner[member]
    elif edit.way == "insert":
        owner.setdefault(member, []).insert(edit.index, edit.value)
    elif edit.way == "delete":
        del owner[member][edit.index]
    else:
        owner[member].insert(edit.to, owner[member].pop(edit.index))


# --- the three languages ----------------------------------------------------------------------------------------------


def as_json_patch(edits: list[Edit], before: Resource, after: Resource) -> Any:
    now, operations = copy.deepcopy(before), []
    for edit in edits:
        path = f"/{edit.member.replace('.', '/')}"
        match edit.way:
            case "insert" if edit.member not in now:
                operations.append({"op": "add", "path": path, "value": [edit.value]})
            case "set" | "insert":
                place = path if edit.way == "set" else f"{path}/{edit.index}"
                operations.append({"op": "add", "path": place, "value": edit.value})
            case "drop" | "delete":
                operations.append({"op": "remove", "path": path if edit.way == "drop" else f"{path}/{edit.index}"})
            case _:
                operations.append({"op": "move", "from": f"{path}/{edit.index}", "path": f"{path}/{edit.to}"})
        done(edit, now)
    return operations


def as_merge_patch(edits: list[Edit], before: Resource, after: Resource) -> Any:
    """Members that are no more are null; all that is left of the others is sent."""
    return {name: after.get(name) for name in {**before, **after} if before.get(name) != after.get(name)}


TYPED = {
    "status": "valueCode",
    "valueQuantity.unit": "valueString",
    "valueQuantity.value": "valueDecimal",
    "bodySite": "valueCodeableConcept",
    "note": "valueAnnotation",
}


def as_fhirpath_patch(edits: list[Edit], before: Resource, after: Resource) -> Any:
    now, operations = copy.deepcopy(before), []
    for edit in edits:
        operations.append({"name": "operation", "part": [*_parts(edit, now)]})
        done(edit, now)
    return {"resourceType": "Parameters", "parameter": operations}


def _parts(edit: Edit, now: Resource) -> Iterator[Any]:
    path = f"Observation.{edit.member.replace('valueQuantity', 'value')}"
    add = (edit.way == "insert" and not now.get(edit.member)) or (edit.member == "bodySite" and edit.member not in now)
    way = {"set": "replace", "drop": "delete"}.get(edit.way, edit.way)
    yield {"name": "type", "valueCode": "add" if add else way}
    yield {
        "name": "path",
        "valueString": "Observation" if add else f"{path}[{edit.index}]" if way == "delete" else path,
    }
    if add:
        yield {"name": "name", "valueString": edit.member}
    elif way == "insert":
        yield {"name": "index", "valueInteger": edit.index}
    elif way == "move":
        yield from ({"name": "source", "valueInteger": edit.index}, {"name": "destination", "valueInteger": edit.to})
    if edit.member == "component" and way == "insert":
        code, value = edit.value["code"], edit.value["valueQuantity"]
        told = [{"name": "code", "valueCodeableConcept": code}, {"name": "value", "valueQuantity": value}]
        yield {"name": "value", "part": told}
    elif edit.value is not None:
        yield {"name": "value", TYPED[edit.member]: edit.value}


LANGUAGES: dict[str, tuple[str, Callable[[list[Edit], Resource, Resource], Any]]] = {
    "JSON Patch": ("application/json-patch+json", as_json_patch),
    "merge patch": ("application/merge-patch+json", as_merge_patch),
    "FHIRPath Patch": ("application/fhir+json", as_fhirpath_patch),
}


# --- what is generated ------------------------------------------------------------------------------------------------

ITEMS = {
    "note": st.fixed_dictionaries({"text": TEXTS}),
    "component": st.fixed_dictionaries(
        {
            "code": st.fixed_dictionaries({"text": TEXTS}),
            "valueQuantity": st.fixed_dictionaries({"value": NUMBERS}, optional={"unit": TEXTS}),
        }
    ),
}
OBSERVATIONS = st.fixed_dictionaries(
    {
        "status": st.just("final"),
        "code": st.fixed_dictionaries({"text": TEXTS}),
        "valueQuantity": st.fixed_dictionaries({"value": NUMBERS, "unit": TEXTS}),
    },
    optional={name: st.lists(items, min_size=1, max_size=3) for name, items in ITEMS.items()},
)
SETTINGS_OF = {
    "status": st.sampled_from(["amended", "corrected", "preliminary"]),
    "valueQuantity.unit": TEXTS,
    "valueQuantity.value": NUMBERS,
    "bodySite": st.fixed_dictionaries({"text": TEXTS}),
}


@st.composite
def stories(draw: st.DrawFn) -> tuple[Resource, list[Edit], Resource]:
    """A resource, changes that can be done one after another, and what comes of them."""
    before: Resource = {"resourceType": "Observation", **draw(OBSERVATIONS)}
    after, edits = copy.deepcopy(before), []
    for _ in range(draw(st.integers(1, 5))):
        edit = draw(_edit(after))
        done(edit, after)
        edits.append(edit)
    return before, edits, {name: value for name, value in after.items() if value != []}


def _edit(now: Resource) -> st.SearchStrategy[Edit]:
    ways = [st.builds(Edit, st.just("set"), st.just(name), value=value) for name, value in SETTINGS_OF.items()]
    if "bodySite" in now:
        ways.append(st.just(Edit("drop", "bodySite")))
    for name, items in ITEMS.items():
        size = len(now.get(name, []))
        ways.append(st.builds(Edit, st.just("insert"), st.just(name), st.integers(0, size), items))
        if size:
            place = st.integers(0, size - 1)
            ways.append(st.builds(Edit, st.just("delete"), st.just(name), place))
            ways.append(st.builds(Edit, st.just("move"), st.just(name), place, to=place))
    return st.one_of(ways)


# --- the promise ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(chosen: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with opened_world(tmp_path_factory.mktemp("patched"), **chosen) as world:
        yield world


def sent(value: Any) -> str:
    return re.sub('"§([^§]+)§"', r"\1", json.dumps(value, ensure_ascii=False))


def read(text: str) -> Any:
    return json.loads(text, parse_float="§{}§".format)


@pytest.mark.parametrize("language", LANGUAGES)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stories())
def test_a_patch_and_a_read_give_what_the_changes_give(
    world: World, language: str, story: tuple[Resource, list[Edit], Resource]
) -> None:
    before, edits, after = story
    kind, render = LANGUAGES[language]
    json_body = {"Content-Type": "application/fhir+json"}
    made = world.ask("POST", "/Observation", content=sent(before).encode(), headers=json_body)
    assert made.status_code == 201, made.text
    path = f"/Observation/{made.json()['id']}"

    patch = sent(render(edits, before, after))
    answer = world.ask("PATCH", path, content=patch.encode(), headers={"Content-Type": kind})

    assert answer.status_code == 200, (patch, answer.text)
    found = read(world.ask("GET", path).text)
    assert {name: value for name, value in found.items() if name not in ("id", "meta")} == after, patch
