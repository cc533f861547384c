"""From definitions in the form of https://hl7.org/fhir/R4/downloads.html to the tables of the validation."""

import gzip
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from fhir_facade.fhir.validation.generate import generate, write

REF = "#/definitions/"
SIMPLE = "http://hl7.org/fhir/StructureDefinition/SimpleQuantity"


def ref(name: str) -> dict[str, str]:
    return {"$ref": REF + name}


def listed(name: str) -> dict[str, Any]:
    return {"items": ref(name), "type": "array"}


SCHEMA: dict[str, Any] = {
    "ResourceList": {"oneOf": [ref("Basic")]},
    "Unreached": {"properties": {}},
    "string": {"type": "string"},
    "Element": {"properties": {"id": ref("string"), "extension": listed("Extension")}},
    "Coding": {"properties": {"id": ref("string"), "system": ref("uri"), "code": ref("code")}},
    "CodeableConcept": {"properties": {"coding": listed("Coding")}},
    "Reference": {"properties": {"reference": ref("string")}},
    "Quantity": {
        "properties": {"value": ref("decimal"), "comparator": ref("code"), "system": ref("uri"), "code": ref("code")}
    },
    "Extension": {
        "properties": {
            "url": ref("uri"),
            "extension": listed("Extension"),
            "valueString": {"pattern": "^x$", "type": "string"},
            "_valueString": ref("Element"),
            "valueDosage": ref("Coding"),
        }
    },
    "Attachment": {"properties": {"contentType": ref("code"), "language": ref("code")}},
    "Meta": {"properties": {"profile": listed("canonical"), "source": ref("canonical")}},
    "Basic": {
        "description": "A resource.",
        "properties": {
            "resourceType": {"const": "Basic"},
            "id": ref("id"),
            "meta": ref("Meta"),
            "extension": listed("Extension"),
            "contained": listed("ResourceList"),
            "status": ref("code"),
            "_status": ref("Element"),
            "kind": {"enum": ["b", "a"]},
            "language": {"enum": ["de"]},
            "version": {"enum": ["top"]},
            "days": {"items": {"enum": ["mon"]}, "type": "array"},
            "flags": listed("code"),
            "concept": ref("CodeableConcept"),
            "free": ref("CodeableConcept"),
            "subject": ref("Reference"),
            "any": ref("Reference"),
            "part": ref("Basic_Part"),
            "valueDateTime": {"pattern": "^x$", "type": "string"},
            "_valueDateTime": ref("Element"),
            "valueQuantity": ref("Quantity"),
            "size": ref("Quantity"),
            "div": {"type": "string"},
            "link": ref("uri"),
            "weight": ref("Quantity"),
            "file": ref("Attachment"),
        },
        "required": ["resourceType", "weight"],
        "additionalProperties": False,
    },
    "Basic_Part": {"properties": {"deep": ref("string")}},
}


def element(path: str, minimum: int = 0, *kinds: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "min": minimum, "type": [{"code": kind} for kind in kinds], **more}


def required_set(name: str) -> dict[str, Any]:
    return {"binding": {"strength": "required", "valueSet": f"http://sets/{name}|4.0.1"}}


def to(*types: str) -> dict[str, Any]:
    profiles = [f"http://hl7.org/fhir/StructureDefinition/{name}" for name in types]
    return {"type": [{"code": "Reference", "targetProfile": profiles}]}


MIME = {"strength": "required", "valueSet": "http://hl7.org/fhir/ValueSet/mimetypes|4.0.1"}

ELEMENTS = [
    element("Basic"),
    element("Basic.status", 1, "code", **required_set("whole")),
    element("Basic.kind", 0, "code"),
    element("Basic.language", 0, "code", binding={"strength": "extensible"}),
    element("Basic.version", 0, "code", **required_set("whole")),
    element("Basic.days", 0, "code", binding={"strength": "example"}),
    element("Basic.flags", 0, "code", **required_set("whole")),
    element("Basic.concept", 0, "CodeableConcept", **required_set("listed")),
    element("Basic.free", 0, "CodeableConcept", **required_set("filtered")),
    element("Basic.subject", 0, **to("Patient", "Group")),
    element("Basic.any", 0, **to("Resource")),
    {"path": "Basic.size", "min": 1, "type": [{"code": "Quantity", "profile": [SIMPLE]}]},
    element("Basic.weight", 1, "Quantity"),
    element("Basic.link", 0, "uri", **required_set("whole")),
    element("Basic.value[x]", 1, "dateTime", "Quantity", "Novel"),
    element("Basic.single[x]", 1, "Novel"),
    element("Basic.contained", 0, "Resource"),
    element("Basic.part", 0, "BackboneElement"),
    element("Basic.part.deep", 1, "string"),
    element("Basic.novel", 1, "string"),
    element("Basic.novel.inner", 1, "string"),
    element("Basic.status.inner", 1, "string"),
    element("Novel.inner", 1, "string"),
    element("Extension.url", 1, "uri"),
    element("Attachment.contentType", 0, "code", binding=MIME),
]


def system(name: str, content: str = "complete") -> dict[str, Any]:
    concepts = [{"code": "top", "concept": [{"code": "below"}]}]
    return {"resourceType": "CodeSystem", "url": f"http://systems/{name}", "content": content, "concept": concepts}


def value_set(name: str, *include: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "url": f"http://sets/{name}", "compose": {"include": list(include), **more}}


WHOLE = {"system": "http://systems/whole"}


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"entry": [{"resource": resource} for resource in resources]}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    structure = {"resourceType": "StructureDefinition", "snapshot": {"element": ELEMENTS}}
    files = {
        "fhir.schema.json": {"definitions": SCHEMA},
        "profiles-types.json": bundle({"resourceType": "CapabilityStatement"}),
        "profiles-resources.json": bundle(
            {**structure, "derivation": "specialization"},
            {**structure, "derivation": "constraint", "snapshot": {}},
        ),
        "valuesets.json": bundle(
            value_set("whole", WHOLE),
            value_set("listed", {"system": "http://systems/part", "concept": [{"code": "one"}]}, WHOLE),
            value_set("filtered", {**WHOLE, "filter": [{}]}),
            system("whole"),
        ),
        "v3-codesystems.json": bundle(system("part", content="fragment")),
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    return tmp_path


def test_the_schema_that_comes_out_says_what_the_definitions_demand(directory: Path) -> None:
    definitions = generate(directory)["definitions"]
    validator = jsonschema_rs.Draft4Validator({**ref("Basic"), "definitions": definitions})
    good = {
        "resourceType": "Basic",
        "status": "below",
        "size": {"value": 1},
        "weight": {"value": 2},
        "valueDateTime": "2026",
        "contained": [{"resourceType": "Whatever", "x": 1}],
        "meta": {"profile": [None, "http://a"], "_profile": [{"extension": [{"url": "a", "valueString": "x"}]}, None]},
        "extension": [{"url": "a", "valueMeta": {"profile": ["b"]}}],
        "days": ["mon", None],
        "flags": ["top", None],
        "part": {"deep": "x"},
    }

    def valid(**changes: Any) -> bool:
        return bool(
            validator.is_valid({name: value for name, value in {**good, **changes}.items() if value is not ...})
        )

    assert valid()
    assert valid(status=..., _status={"extension": [{"url": "a", "valueString": "x"}]})
    assert valid(meta={"_source": {"extension": [{"url": "a", "valueString": "x"}]}})
    assert not valid(_status={"id": "x"})  # unless there is a value, which the checks of the schema's errors look for
    assert valid(weight={"value": 2, "comparator": "<"})
    assert not valid(size={"value": 1, "comparator": "<"})
    assert not valid(status=...)
    assert not valid(status="other")
    assert not valid(flags=["other"])
    assert not valid(size=...)
    assert not valid(weight=...)
    assert not valid(valueDateTime=...)
    assert not valid(valueDateTime="x")
    assert not valid(part={})
    assert not valid(contained=[{"x": 1}])
    assert not valid(kind="c")
    assert valid(language="en")
    assert valid(version="below")
    assert not valid(version="other")
    assert not valid(days=[])
    assert not valid(novel="x")
    assert not valid(div="x")
    assert not valid(id="a b")
    assert not valid(size={"id": "x"})
    assert valid(file={"contentType": "text/plain; charset=utf-8"})
    assert not valid(file={"contentType": "text"})


def test_the_checks_hold_choices_targets_and_bindings(directory: Path) -> None:
    asset = generate(directory)

    checks = asset["checks"]["Basic"]
    assert checks["valueDateTime"] == checks["_valueDateTime"] == {"choice": "value"}
    assert checks["valueQuantity"] == {"choice": "value", "type": "Quantity"}
    assert checks["subject"] == {"targets": ["Group", "Patient"]}
    assert checks["any"] == {"targets": []}
    assert checks["contained"] == {"type": "ResourceList"}
    assert checks["flags"] == {"sparse": True}
    assert checks["concept"] == {"type": "CodeableConcept", "binding": "http://sets/listed"}
    assert checks["free"] == {"type": "CodeableConcept"}
    assert asset["bindings"] == {
        "http://sets/listed": {"http://systems/part": ["one"], "http://systems/whole": ["below", "top"]}
    }


def test_only_what_the_types_of_r4_reach_is_kept(directory: Path) -> None:
    asset = generate(directory)

    assert "Unreached" not in asset["definitions"]
    assert asset["checks"].keys() == {"Basic"}


def test_the_same_definitions_give_the_same_bytes(directory: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "1.gz", tmp_path / "2.gz"

    write(directory, first)
    write(directory, second)

    assert first.read_bytes() == second.read_bytes()
    assert json.loads(gzip.decompress(first.read_bytes())) == generate(directory)
