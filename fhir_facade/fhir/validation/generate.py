"""Makes `r4.json.gz` out of the official definitions: `python -m fhir_facade.fhir.validation.generate DIRECTORY`.

DIRECTORY holds files of https://hl7.org/fhir/R4/downloads.html (HL7, CC0): `fhir.schema.json` for structure and codes,
and out of `definitions.json.zip` `profiles-resources.json` and `profiles-types.json` for what is required, choices,
targets of references and bindings, `valuesets.json` and `v3-codesystems.json` for the codes of required bindings.
Elements that the schema does not have are ignored, so additions of a redistributor do no harm.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fhir_facade.fhir.document import known_types
from fhir_facade.fhir.validation.primitives import CODE_SHAPES, PRIMITIVES

SOURCE = "FHIR R4 (4.0.1), https://hl7.org/fhir/R4/downloads.html, HL7, CC0"
ASSET = Path(__file__).with_name("r4.json.gz")
PROFILE = "http://hl7.org/fhir/StructureDefinition/"
SIMPLE = "SimpleQuantity"
_REF = "#/definitions/"
_SUFFIXES = sorted(PRIMITIVES, key=len, reverse=True)

_MIME = dict.fromkeys(("Attachment", "Binary", "Signature"), "mimeType")
_SHAPED = {
    "http://hl7.org/fhir/ValueSet/currencies": {"Money": "currency"},
    "http://hl7.org/fhir/ValueSet/mimetypes": _MIME,
}
"""Value sets that nobody can list here, with the definitions that hold their codes to a shape at least."""

Definitions = dict[str, dict[str, Any]]


def generate(directory: Path) -> dict[str, Any]:
    """The asset as a dictionary: `definitions` (JSON schema draft 4), `checks` per definition, `bindings` per set."""
    schema = json.loads((directory / "fhir.schema.json").read_bytes())["definitions"]
    definitions = {name: patched(name, body) for name, body in schema.items() if name in _wanted(schema)}
    definitions |= primitive_definitions()
    definitions[SIMPLE] = _simple(definitions["Quantity"])
    value_sets = ValueSets(_resources(directory / "valuesets.json"), _resources(directory / "v3-codesystems.json"))
    checks: dict[str, Any] = {}
    for structure in _structures(directory):
        overlay(structure, definitions, checks, value_sets)
    bindings = {url: value_sets.codes(url) for url in sorted(_bound(checks))}
    return {"source": SOURCE, "definitions": definitions, "checks": checks, "bindings": bindings}


def write(directory: Path, asset: Path = ASSET) -> None:
    """Write the asset; the same input gives the same bytes."""
    text = json.dumps(generate(directory), sort_keys=True, separators=(",", ":"))
    asset.write_bytes(gzip.compress(text.encode(), mtime=0))


# --- the schema, patched ------------------------------------------------------------------------------------------


def _wanted(schema: Mapping[str, Any]) -> set[str]:
    """All definitions that the resource types of R4 reach."""
    wanted: set[str] = set()
    todo = [name for name in known_types() if name in schema]
    while todo:
        name = todo.pop()
        if name in wanted or name in PRIMITIVES:
            continue
        wanted.add(name)
        if name != "ResourceList":
            todo += [child for member in schema[name]["properties"].values() if (child := _target(member)) in schema]
    return wanted


def _target(member: Mapping[str, Any]) -> str:
    item = member.get("items", member)
    return str(item.get("$ref", "")).removeprefix(_REF)


def patched(name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """A definition of the official schema with objects that must be objects, arrays and strings that are not empty."""
    if name == "ResourceList":  # opened: the resource inside is validated by its own type
        kind = {"resourceType": {"$ref": _REF + "code"}}
        return {"type": "object", "required": ["resourceType"], "properties": kind}
    given = body["properties"] | _forgotten_companions(body["properties"])
    members = {member: _patched_member(member, value) for member, value in given.items()}
    if "id" in members:
        members["id"] = {"$ref": _REF + ("id" if "resourceType" in members else "elementId")}
    for choice in [member for member in members if member.endswith("Dosage")]:
        # Meta is the last type of the open list, which the schema forgot.
        members[choice.removesuffix("Dosage") + "Meta"] = {"$ref": _REF + "Meta"}
    made = {
        "type": "object",
        "properties": members,
        "required": sorted(body.get("required", ())),
        "additionalProperties": False,
        "minProperties": 1,
    }
    if not made["required"]:
        del made["required"]
    if name == "Extension":
        made |= {"required": ["url"], "oneOf": _extension_choices(members)}
    depending = _depending(name, members)
    return made | ({"dependencies": depending} if depending else {})


def _forgotten_companions(members: Mapping[str, Any]) -> dict[str, Any]:
    """The schema has none for canonical elements, which may have extensions as all primitive ones may."""
    element = {"$ref": _REF + "Element"}
    return {
        "_" + name: {"type": "array", "items": element} if "items" in member else element
        for name, member in members.items()
        if _target(member) == "canonical" and "_" + name not in members
    }


def _depending(name: str, members: Mapping[str, Any]) -> dict[str, Any]:
    """What a member demands of its element: an id alone says nothing (ele-1), a code needs a system (qty-3)."""
    alone = {} if "resourceType" in members or "id" not in members else {"id": {"minProperties": 2}}
    coded = {"code": ["system"]} if name in ("Quantity", "Age", "Count", "Distance", "Duration") else {}
    return alone | coded


def _simple(quantity: Mapping[str, Any]) -> dict[str, Any]:
    """https://hl7.org/fhir/R4/datatypes.html#SimpleQuantity: a Quantity without a comparator (sqty-1)."""
    left_out = ("comparator", "_comparator")
    kept = {part: quantity[part] for part in quantity if part not in ("properties", "dependencies")}
    parts = {part: quantity[part] for part in ("properties", "dependencies") if part in quantity}
    return kept | {
        part: {name: value for name, value in members.items() if name not in left_out}
        for part, members in parts.items()
    }


def _patched_member(name: str, member: Mapping[str, Any]) -> dict[str, Any]:
    if "items" in member:
        return {"type": "array", "minItems": 1, "items": _or_null(name, _patched_member(name, member["items"]))}
    if "const" in member:
        return {"enum": [member["const"]]}
    if "enum" in member:
        return {"enum": sorted(member["enum"])}
    if "$ref" in member:
        return {"$ref": member["$ref"]}
    if name.startswith("div"):
        return {"$ref": _REF + "xhtml"}
    return {"$ref": _REF + _primitive_of_choice(name)}


def _primitive_of_choice(name: str) -> str:
    return next(kind for kind in _SUFFIXES if name.endswith(kind[0].upper() + kind[1:]))


def _or_null(name: str, item: dict[str, Any]) -> dict[str, Any]:
    """Arrays of primitives and their companions may hold null where the other one has the value."""
    if "enum" in item:
        return {"enum": [*item["enum"], None]}
    target = _target(item)
    return {"$ref": item["$ref"] + "?"} if target in PRIMITIVES or name.startswith("_") else item


def primitive_definitions() -> Definitions:
    nullable = {name + "?": {**body, "type": [body["type"], "null"]} for name, body in PRIMITIVES.items()}
    element = {
        "id": {"$ref": _REF + "elementId"},
        "extension": {"type": "array", "minItems": 1, "items": {"$ref": _REF + "Extension"}},
    }
    # An id is enough beside a value: `schema` looks at that when nothing but an id is there, which hardly ever happens.
    companion = {"properties": element, "additionalProperties": False, "minProperties": 1, "required": ["extension"]}
    return {
        **PRIMITIVES,
        **CODE_SHAPES,
        **nullable,
        "Element": {"type": "object", **companion},
        "Element?": {"type": ["object", "null"], **companion},
    }


def _extension_choices(members: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = sorted(name for name in members if name.startswith("value"))
    return [{"required": ["extension"]}, *(_present(name, members) for name in names)]


def _present(name: str, members: Mapping[str, Any]) -> dict[str, Any]:
    if "_" + name in members:
        return {"anyOf": [{"required": [name]}, {"required": ["_" + name]}]}
    return {"required": [name]}


# --- what the StructureDefinitions say beyond ------------------------------------------------------------------------


def _resources(path: Path) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in json.loads(path.read_bytes())["entry"]]


def _structures(directory: Path) -> Iterator[dict[str, Any]]:
    for name in ("profiles-types.json", "profiles-resources.json"):
        for resource in _resources(directory / name):
            if resource["resourceType"] == "StructureDefinition" and resource.get("derivation") == "specialization":
                yield resource


def overlay(
    structure: Mapping[str, Any], definitions: Definitions, checks: dict[str, Any], value_sets: ValueSets
) -> None:
    """Add what one StructureDefinition demands to the definitions and checks of its type."""
    for element in structure["snapshot"]["element"][1:]:
        parent, _, leaf = element["path"].rpartition(".")
        name = _definition_at(parent, definitions)
        if name is None:
            continue
        members = definitions[name]["properties"]
        if name != "Extension":  # the choice of which is in its schema: one value of them all, or extensions
            _overlay_presence(name, leaf, element, definitions, checks)
        for member in _members_of(leaf, element, members):
            _overlay_member(definitions, checks.setdefault(name, {}), name, member, element, value_sets)
    for name in [name for name, found in checks.items() if not found]:
        del checks[name]


def _overlay_presence(
    name: str, leaf: str, element: Mapping[str, Any], definitions: Definitions, checks: dict[str, Any]
) -> None:
    if leaf.endswith("[x]"):
        _overlay_choice(name, leaf[:-3], element, definitions, checks)
    elif leaf in definitions[name]["properties"]:
        _require(definitions[name], [leaf], element)


def _definition_at(path: str, definitions: Definitions) -> str | None:
    """The definition that a path like `Observation.component` leads to, or None when the schema lacks it."""
    name, *parts = path.split(".")
    if "properties" not in definitions.get(name, {}):
        return None
    for part in parts:
        name = _target(definitions[name]["properties"].get(part, {}))
        if "properties" not in definitions.get(name, {}):
            return None
    return name


def _members_of(leaf: str, element: Mapping[str, Any], members: Mapping[str, Any]) -> list[str]:
    if not leaf.endswith("[x]"):
        return [leaf] if leaf in members else []
    return [name for name in _choice_names(leaf[:-3], element) if name in members]


def _choice_names(stem: str, element: Mapping[str, Any]) -> list[str]:
    return [stem + kind["code"][0].upper() + kind["code"][1:] for kind in element["type"]]


def _overlay_choice(
    name: str, stem: str, element: Mapping[str, Any], definitions: Definitions, checks: dict[str, Any]
) -> None:
    members = definitions[name]["properties"]
    names = [member for member in _choice_names(stem, element) if member in members]
    _require(definitions[name], names, element)
    for member in names if len(names) > 1 else ():
        checks.setdefault(name, {}).setdefault(member, {})["choice"] = stem
        if "_" + member in members:
            checks[name].setdefault("_" + member, {})["choice"] = stem


def _require(definition: dict[str, Any], names: list[str], element: Mapping[str, Any]) -> None:
    """At least one of the names, or its companion, must be there when the element has min 1."""
    if element["min"] == 0 or not names:
        return
    ways = [way for name in names for way in (name, "_" + name) if way in definition["properties"]]
    if len(ways) > 1:
        definition.setdefault("allOf", []).append({"anyOf": [{"required": [way]} for way in ways]})
    elif ways[0] not in definition.get("required", ()):
        definition["required"] = sorted([*definition.get("required", ()), ways[0]])


def _overlay_member(
    definitions: Definitions,
    check: dict[str, Any],
    name: str,
    member: str,
    element: Mapping[str, Any],
    value_sets: ValueSets,
) -> None:
    schema = definitions[name]["properties"][member]
    target = _target(schema)
    found: dict[str, Any] = {}
    if target == "Reference":
        found["targets"] = _targets(element)
    elif "properties" in definitions.get(target, {}) or target == "ResourceList":
        found["type"] = target
    elif schema.get("type") == "array":
        found["sparse"] = True
    if target == "CodeableConcept" and value_sets.codes(_required_set(element)):
        found["binding"] = _required_set(element)
    elif _required_set(element) in _SHAPED and name in _SHAPED[_required_set(element)]:
        schema["$ref"] = _REF + _SHAPED[_required_set(element)][name]
    elif target in ("code", "code?") or "enum" in schema.get("items", schema):
        _enumerate(schema, sorted(_flat(value_sets.codes(_required_set(element)))), element)
    if target == "Quantity" and _is_simple(element):
        schema["$ref"] = _REF + SIMPLE
    if found:
        check.setdefault(member, {}).update(found)


def _is_simple(element: Mapping[str, Any]) -> bool:
    profiles = [kind.get("profile", ()) for kind in element.get("type", ()) if kind["code"] == "Quantity"]
    return len(profiles) > 0 and all(PROFILE + SIMPLE in urls for urls in profiles)


def _enumerate(member: dict[str, Any], codes: list[str], element: Mapping[str, Any]) -> None:
    """The codes of the value set, where the schema of an earlier print has others or none."""
    if codes and "items" in member:
        member["items"] = {"enum": [*codes, None]}
    elif codes:
        member.clear()
        member["enum"] = codes
    elif "items" not in member and element.get("binding", {}).get("strength", "required") != "required":
        member.clear()
        member["$ref"] = _REF + "code"


def _targets(element: Mapping[str, Any]) -> list[str]:
    """Types a reference may point to; empty: any."""
    profiles = [
        url for kind in element.get("type", ()) if kind["code"] == "Reference" for url in kind.get("targetProfile", ())
    ]
    names = {url.removeprefix(PROFILE) for url in profiles}
    return sorted(names) if names <= known_types() else []


def _required_set(element: Mapping[str, Any]) -> str:
    """The URL of the value set that binds; "" for none."""
    binding = element.get("binding", {})
    if binding.get("strength") != "required" or "valueSet" not in binding:
        return ""
    return str(binding["valueSet"]).partition("|")[0]


def _flat(codes: Mapping[str, list[str]]) -> set[str]:
    return {code for listed in codes.values() for code in listed}


def _bound(checks: Mapping[str, Any]) -> set[str]:
    return {check["binding"] for members in checks.values() for check in members.values() if "binding" in check}


class ValueSets:
    """Enumerates value sets of the specification that need nothing but the specification itself."""

    def __init__(self, *published: list[dict[str, Any]]) -> None:
        resources = [resource for listed in published for resource in listed]
        self._sets = {one["url"]: one for one in resources if one["resourceType"] == "ValueSet"}
        self._systems = {
            one["url"]: [*_concepts(one.get("concept", ()))]
            for one in resources
            if one["resourceType"] == "CodeSystem" and one["content"] == "complete"
        }

    def codes(self, url: str) -> dict[str, list[str]]:
        """Codes by system; empty when the set is not enumerable here (MIME types, UCUM, currencies …)."""
        compose = self._sets.get(url, {}).get("compose", {})
        listed = [self._included(part) for part in compose.get("include", ())]
        if "exclude" in compose or any(part is None for part in listed):
            return {}
        found: dict[str, set[str]] = {}
        for system, codes in (pair for part in listed if part is not None for pair in part.items()):
            found.setdefault(system, set()).update(codes)
        return {system: sorted(codes) for system, codes in found.items()}

    def _included(self, part: Mapping[str, Any]) -> dict[str, list[str]] | None:
        if "filter" in part or "valueSet" in part:
            return None
        if "concept" in part:
            return {part["system"]: [concept["code"] for concept in part["concept"]]}
        codes = self._systems.get(part["system"])
        return None if codes is None else {part["system"]: codes}


def _concepts(concepts: list[dict[str, Any]]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _concepts(concept.get("concept", []))


if __name__ == "__main__":  # pragma: no cover - the one line that makes it a command
    write(Path(sys.argv[1]))
