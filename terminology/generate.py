"""Makes `r4.json.gz` out of the official definitions: `python -m terminology.generate DIRECTORY`.

DIRECTORY holds `profiles-types.json`, `profiles-resources.json`, `valuesets.json` and `v3-codesystems.json` of
https://hl7.org/fhir/R4/downloads.html (HL7, CC0). Kept are the value sets of required bindings and the code systems
they are made of; texts for people are left out, definitions of codes stay.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

SOURCE = "FHIR R4 (4.0.1), https://hl7.org/fhir/R4/downloads.html, HL7, CC0"
ASSET = Path(__file__).with_name("r4.json.gz")
_KEPT = ("resourceType", "id", "url", "version", "name", "title", "status", "caseSensitive", "content", "valueSet")

Resource = Mapping[str, Any]


def generate(directory: Path) -> dict[str, Any]:
    """`ValueSet` and `CodeSystem`, each a list in the order of the urls."""
    resources = [*_resources(directory / "valuesets.json"), *_resources(directory / "v3-codesystems.json")]
    value_sets = {one["url"]: one for one in resources if one["resourceType"] == "ValueSet"}
    systems = {one["url"]: one for one in resources if one["resourceType"] == "CodeSystem"}
    wanted = sorted(url for url in _required(directory) if url in value_sets)
    used = sorted({url for name in wanted for url in _systems(value_sets[name]) if url in systems})
    return {
        "source": SOURCE,
        "ValueSet": [_value_set(value_sets[url]) for url in wanted],
        "CodeSystem": [_code_system(systems[url]) for url in used],
    }


def write(directory: Path, asset: Path = ASSET) -> None:
    """Write the asset; the same input gives the same bytes."""
    text = json.dumps(generate(directory), sort_keys=True, separators=(",", ":"))
    asset.write_bytes(gzip.compress(text.encode(), mtime=0))


def _resources(path: Path) -> list[Resource]:
    return [entry["resource"] for entry in json.loads(path.read_bytes())["entry"]]


def _required(directory: Path) -> set[str]:
    """The value sets of required bindings of all R4 types."""
    definitions = [*_resources(directory / "profiles-types.json"), *_resources(directory / "profiles-resources.json")]
    elements = [
        element
        for one in definitions
        if one["resourceType"] == "StructureDefinition" and one.get("derivation") == "specialization"
        for element in one["snapshot"]["element"]
    ]
    bindings = [element["binding"] for element in elements if "binding" in element]
    return {one["valueSet"].partition("|")[0] for one in bindings if one["strength"] == "required"}


def _systems(value_set: Resource) -> Iterator[str]:
    for part in value_set.get("compose", {}).get("include", ()):
        yield part.get("system", "")


def _value_set(found: Resource) -> dict[str, Any]:
    return _kept(found) | {"compose": found["compose"]}


def _code_system(found: Resource) -> dict[str, Any]:
    return _kept(found) | {"concept": [*_concepts(found.get("concept", ()))]}


def _kept(found: Resource) -> dict[str, Any]:
    return {name: found[name] for name in _KEPT if name in found}


def _concepts(concepts: Iterable[Resource]) -> Iterator[dict[str, Any]]:
    for concept in concepts:
        told = {name: concept[name] for name in ("code", "display", "definition") if name in concept}
        below = [*_concepts(concept.get("concept", ()))]
        yield told | ({"concept": below} if below else {})


if __name__ == "__main__":  # pragma: no cover - the one line that makes it a command
    write(Path(sys.argv[1]))
