"""Developer command: condense the official R4 definitions into `r4.json.gz` (https://hl7.org/fhir/R4/downloads.html).

    python -m fhir_facade.fhir.definitions.generate JAR [TARGET]

JAR is the Maven artifact `ca.uhn.hapi.fhir:hapi-fhir-validation-resources-r4`, which `make hapi` fetches; it carries
HL7's definitions (CC0) unchanged. The same input gives the same bytes.
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
from xml.etree import ElementTree as ET
from zipfile import ZipFile

Json = dict[str, Any]
Plain = dict[str, list[Any]]
"""A FHIR resource read from XML: every member is a list, primitives are strings."""

MODEL = "org/hl7/fhir/r4/model/"
RESOURCES = MODEL + "profile/profiles-resources.xml"
TYPES = MODEL + "profile/profiles-types.xml"
PARAMETERS = MODEL + "sp/search-parameters.json"
VALUE_SETS = (MODEL + "valueset/valuesets.xml", MODEL + "valueset/v3-codesystems.xml")
INPUTS = (RESOURCES, TYPES, PARAMETERS, *VALUE_SETS)
MANIFEST = "META-INF/maven/ca.uhn.hapi.fhir/hapi-fhir-validation-resources-r4/pom.properties"
TARGET = Path(__file__).parent / "r4.json.gz"
HL7 = "http://hl7.org/fhir/"
XML = "{" + HL7.rstrip("/") + "}"
FHIR_TYPE = HL7 + "StructureDefinition/structuredefinition-fhir-type"
# Defined in prose only: https://hl7.org/fhir/R4/search.html#all
PROSE_PARAMETERS = {"_filter": "special", "_has": "special", "_list": "special", "_type": "token"}
ABSTRACT = ("Resource", "DomainResource")
NEVER_STORED = {"Parameters"}
# R4 4.0.1 swaps the definitions of these two components: `code` is the token, `target` the reference.
SWAPPED = {"DocumentReference-relationship"}


def condense(jar: Path) -> Json:
    """The whole table; see `tables.py` for the meaning of each part."""
    with ZipFile(jar) as files:
        systems = dict(_code_systems(files))
        resources = dict(_structures(files, RESOURCES))
        types = sorted(_concepts(files, "resource-types") - set(ABSTRACT))
        structures = dict(_structures(files, TYPES)) | {name: resources[name] for name in (*types, *ABSTRACT)}
        elements = {name: _elements(structure, systems) for name, structure in sorted(structures.items())}
        parameters = [entry["resource"] for entry in json.loads(files.read(PARAMETERS))["entry"]]
        return {
            "provenance": _provenance(files),
            "types": types,
            "parameters": _parameters(parameters, types, elements),
            "elements": elements,
            "compartments": dict(_compartments(files)),
        }


def _provenance(files: ZipFile) -> Json:
    version = re.search(r"^version=(\S+)", files.read(MANIFEST).decode(), re.MULTILINE)
    return {
        "content": "HL7 FHIR R4 4.0.1 definitions, CC0-1.0",
        "package": "ca.uhn.hapi.fhir:hapi-fhir-validation-resources-r4",
        "package_version": version[1] if version else "",
        "package_license": "Apache-2.0",
        "sha256": {name.removeprefix(MODEL): hashlib.sha256(files.read(name)).hexdigest() for name in INPUTS},
    }


# --- reading FHIR XML -------------------------------------------------------------------------------------------


def _read(files: ZipFile, name: str, kind: str) -> Iterator[Plain]:
    """All resources of one kind in a bundle."""
    with files.open(name) as stream:
        for _, node in ET.iterparse(stream):  # noqa: S314 - HL7's own file, read by a developer
            if node.tag == XML + kind:
                yield _plain(node)
            elif node.tag == XML + "entry":
                node.clear()


def _plain(node: ET.Element) -> Any:
    if "value" in node.attrib:
        return node.attrib["value"]
    members: Plain = {name: [value] for name, value in node.attrib.items()}
    for child in node:
        members.setdefault(child.tag.removeprefix(XML), []).append(_plain(child))
    return members


def _one(node: Plain, *path: str) -> Any:
    """The first value along a path; "" where there is none."""
    found: Any = node
    for name in path:
        found = found[name][0] if name in found else {}
    return found or ""


# --- elements ---------------------------------------------------------------------------------------------------


def _structures(files: ZipFile, name: str) -> Iterator[tuple[str, Plain]]:
    return ((_one(item, "id"), item) for item in _read(files, name, "StructureDefinition"))


def _concepts(files: ZipFile, system: str) -> set[str]:
    found = next(item for item in _read(files, VALUE_SETS[0], "CodeSystem") if _one(item, "id") == system)
    return {_one(concept, "code") for concept in found["concept"]}


def _code_systems(files: ZipFile) -> Iterator[tuple[str, str]]:
    """Value sets that draw on one code system alone: the implicit system of a `code` element bound to them."""
    for name in VALUE_SETS:
        for value_set in _read(files, name, "ValueSet"):
            included = (_one(value_set, "compose") or {}).get("include", [])
            if len(included) == 1 and "system" in included[0] and "valueSet" not in included[0]:
                yield _one(value_set, "url"), _one(included[0], "system")


def _elements(structure: Plain, systems: Mapping[str, str]) -> Json:
    """Path below the type -> [types, min, max, flags, targets, system, content]; max -1 is `*`; flags: x s m."""
    root = _one(structure, "id")
    found = {}
    for element in _one(structure, "snapshot")["element"]:
        _, _, path = _one(element, "path").partition(".")
        found[path.removesuffix("[x]")] = _element(element, systems) if path else [[root], 0, -1, "", [], "", ""]
    return found


def _element(element: Plain, systems: Mapping[str, str]) -> list[Any]:
    flags = "x" * _one(element, "path").endswith("[x]")
    flags += "s" * (_one(element, "isSummary") == "true") + "m" * (_one(element, "isModifier") == "true")
    types = element.get("type", [])
    targets = {profile.rsplit("/", 1)[1] for item in types for profile in item.get("targetProfile", [])}
    required = _one(element, "binding", "strength") == "required"
    bound = _one(element, "binding", "valueSet").split("|")[0] if required else ""
    codes = [_type_code(item) for item in types]
    most = _one(element, "max")
    return [
        codes,
        int(_one(element, "min")),
        -1 if most == "*" else int(most),
        flags,
        sorted(targets),
        systems.get(bound, "") if codes == ["code"] else "",
        _one(element, "contentReference").lstrip("#"),
    ]


def _type_code(item: Plain) -> str:
    extensions = item.get("extension", [])
    declared = (_one(extension, "valueUrl") for extension in extensions if _one(extension, "url") == FHIR_TYPE)
    return str(next(declared, _one(item, "code")))


# --- search parameters ------------------------------------------------------------------------------------------


def _parameters(definitions: list[Json], types: list[str], elements: Json) -> Json:
    """Type -> code -> [kind, expression, targets, components]; `Resource` holds those common to all types."""
    by_url = {item["url"]: item for item in definitions}
    found: dict[str, Json] = {name: {} for name in ("Resource", *types)}
    found["Resource"].update({code: [kind, "", [], []] for code, kind in PROSE_PARAMETERS.items()})
    for item in definitions:
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
    return ["*"] if narrowed >= set(types) - NEVER_STORED else sorted(narrowed)


def _reachable(branch: str, elements: Json) -> Iterable[str]:
    resolved = re.search(r"resolve\(\) is (\w+)", branch)
    if resolved:
        return [resolved[1]]
    plain = re.sub(r"\.(where|ofType|as)\([^)]*\)?", "", branch).split(" as ")[0]
    owner, _, path = plain.partition(".")
    row = elements[owner].get(path)
    return row[4] if row else []


def _compartments(files: ZipFile) -> Iterator[tuple[str, Json]]:
    for item in _read(files, RESOURCES, "CompartmentDefinition"):
        members = {_one(part, "code"): _linking(part) for part in item["resource"]}
        yield _one(item, "code"), {name: codes for name, codes in sorted(members.items()) if codes}


def _linking(part: Plain) -> list[str]:
    """`{def}` is the resource that the compartment is about, no parameter."""
    return [code for code in part.get("param", []) if code != "{def}"]


def write(jar: Path, target: Path = TARGET) -> None:
    """Write the table; the gzip header carries neither time nor name, so equal input gives equal bytes."""
    text = json.dumps(condense(jar), separators=(",", ":"), ensure_ascii=False).encode()
    target.write_bytes(gzip.compress(text, compresslevel=9, mtime=0))


if __name__ == "__main__":
    write(*(Path(argument) for argument in sys.argv[1:3]))
