"""From the official definitions to the code systems and value sets that required bindings need."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from terminology.generate import generate, write

HL7 = "http://hl7.org/fhir"


def bundle(*resources: dict[str, Any]) -> str:
    return json.dumps({"entry": [{"resource": one} for one in resources]})


def bound(url: str, strength: str = "required") -> dict[str, Any]:
    return {"path": "Basic.x", "binding": {"strength": strength, "valueSet": f"{url}|4.0.1"}}


def directory(folder: Path) -> Path:
    elements = [bound("urn:set"), bound("urn:loose", "example"), bound("urn:absent"), {"path": "Basic.y"}]
    structure = {
        "resourceType": "StructureDefinition",
        "derivation": "specialization",
        "snapshot": {"element": elements},
    }
    (folder / "profiles-types.json").write_text(bundle({"resourceType": "CapabilityStatement"}))
    (folder / "profiles-resources.json").write_text(bundle(structure, {**structure, "derivation": "constraint"}))
    sets = [
        {
            "resourceType": "ValueSet",
            "url": url,
            "id": url,
            "text": {},
            "compose": {"include": [{"system": "urn:system"}]},
        }
        for url in ("urn:set", "urn:loose")
    ]
    concept = {"code": "a", "display": "A", "definition": "An a", "extension": [], "concept": [{"code": "b"}]}
    system = {"resourceType": "CodeSystem", "url": "urn:system", "content": "complete", "concept": [concept]}
    (folder / "valuesets.json").write_text(bundle(*sets, {**system, "url": "urn:unused"}))
    (folder / "v3-codesystems.json").write_text(bundle(system))
    return folder


def test_only_what_is_required_is_kept_and_without_its_text(tmp_path: Path) -> None:
    found = generate(directory(tmp_path))

    assert [one["url"] for one in found["ValueSet"]] == ["urn:set"]
    assert "text" not in found["ValueSet"][0]
    assert found["CodeSystem"] == [
        {
            "resourceType": "CodeSystem",
            "url": "urn:system",
            "content": "complete",
            "concept": [{"code": "a", "display": "A", "definition": "An a", "concept": [{"code": "b"}]}],
        }
    ]


def test_the_same_definitions_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "one.gz", tmp_path / "two.gz"
    for asset in (one, two):
        write(directory(tmp_path), asset)

    assert one.read_bytes() == two.read_bytes()
    assert "CC0" in json.loads(gzip.decompress(one.read_bytes()))["source"]
