"""The shipped table of definitions, and the command that makes it."""

from __future__ import annotations

import gzip
import json
import math
import runpy
import sys
import time
from zipfile import ZipFile

import pytest

from fhir_facade.fhir import definitions
from fhir_facade.fhir.definitions import generate, tables


def test_an_unknown_type_has_no_parameters_and_no_elements():
    with pytest.raises(KeyError):
        definitions.search_parameters("Heart")
    with pytest.raises(KeyError):
        definitions.compartment("Heart")
    assert definitions.element("Heart.rate") is None
    assert definitions.children("Heart") == {}
    assert not definitions.is_resource_type("Heart")


def test_a_name_that_is_no_type_is_asked_about_without_being_remembered():
    caches = [kept for kept in vars(tables).values() if hasattr(kept, "cache_info")]
    definitions.is_resource_type("Patient")
    before = [kept.cache_info().currsize for kept in caches]

    answers = {definitions.is_resource_type(f"Heart{number}") for number in range(100)}

    assert answers == {False}
    assert [kept.cache_info().currsize for kept in caches] == before


def test_there_are_the_146_types_of_r4_and_none_of_a_vendor():
    types = definitions.resource_types()
    assert len(types) == 146
    assert types == tuple(sorted(types))
    assert {"Patient", "Observation", "Parameters", "Binary"} <= set(types)
    assert not {"Resource", "DomainResource", "SubscriptionStatus", "MetadataResource", "Project"} & set(types)


def test_every_type_has_the_common_parameters():
    common = {
        "_content": "string",
        "_filter": "special",
        "_has": "special",
        "_id": "token",
        "_lastUpdated": "date",
        "_list": "special",
        "_profile": "uri",
        "_query": "token",
        "_security": "token",
        "_source": "uri",
        "_tag": "token",
        "_text": "string",
        "_type": "token",
    }
    assert {code: own.kind for code, own in definitions.search_parameters("Resource").items()} == common
    for fhir_type in definitions.resource_types():
        assert set(common) <= set(definitions.search_parameters(fhir_type))


def test_a_shared_parameter_keeps_only_the_branches_and_targets_of_its_type():
    patient = definitions.search_parameters("Observation")["patient"]
    assert patient.expression == "Observation.subject.where(resolve() is Patient)"
    assert patient.targets == ("Patient",)
    assert definitions.reference_targets("Observation", "subject") == ("Device", "Group", "Location", "Patient")
    assert definitions.reference_targets("Observation", "code") == ()
    assert definitions.reference_targets("Observation", "nonsense") == ()


def test_a_target_of_any_type_is_spelled_out():
    assert definitions.reference_targets("Provenance", "target") == definitions.resource_types()


def test_a_composite_knows_its_components_by_kind():
    found = definitions.search_parameters("Observation")["code-value-quantity"].components
    assert [(part.code, part.kind, part.expression) for part in found] == [
        ("code", "token", "code"),
        ("value-quantity", "quantity", "value.as(Quantity)"),
    ]
    swapped = definitions.search_parameters("DocumentReference")["relationship"].components
    assert [(part.expression, part.kind) for part in swapped] == [("code", "token"), ("target", "reference")]


@pytest.mark.parametrize(
    ("path", "types", "low", "high"),
    [
        ("Observation.status", ("code",), 1, 1),
        ("Observation.component", ("BackboneElement",), 0, None),
        ("Observation.component.referenceRange.low.value", ("decimal",), 0, 1),
        ("Observation.code.coding.display", ("string",), 0, 1),
        ("Patient.id", ("string",), 0, 1),
        ("Bundle.entry.resource", ("Resource",), 0, 1),
    ],
)
def test_an_element_is_found_through_data_types_and_content_references(path, types, low, high):
    found = definitions.element(path)
    assert found is not None
    assert (found.types, found.min, found.max) == (types, low, high)


@pytest.mark.parametrize("path", ["Observation.pulse", "Observation.status.deep.down", "Observation.pulse.rate"])
def test_an_element_that_r4_does_not_have_is_none(path):
    assert definitions.element(path) is None


def test_an_element_says_choice_summary_modifier_targets_and_implied_system():
    value, status, subject = (definitions.element(f"Observation.{name}") for name in ("value", "status", "subject"))
    assert value is not None
    assert value.choice
    assert value.summary
    assert "SampledData" in value.types
    assert status is not None
    assert status.modifier
    assert status.system == "http://hl7.org/fhir/observation-status"
    assert subject is not None
    assert subject.targets == ("Device", "Group", "Location", "Patient")


def test_the_patient_compartment_lists_its_reference_parameters():
    compartment = definitions.compartment("Patient")
    assert compartment["Observation"] == ("subject", "performer")
    assert "Medication" not in compartment
    assert definitions.compartment("Practitioner")["Encounter"] == ("practitioner", "participant")
    for fhir_type, codes in compartment.items():
        for code in codes:
            assert "Patient" in definitions.reference_targets(fhir_type, code)


def test_every_reference_parameter_has_targets():
    for fhir_type in definitions.resource_types():
        for parameter in definitions.search_parameters(fhir_type).values():
            assert bool(parameter.targets) == (parameter.kind == "reference"), parameter


def test_the_table_says_where_it_comes_from():
    source = definitions.provenance()
    assert source["package"] == "ca.uhn.hapi.fhir:hapi-fhir-validation-resources-r4"
    assert source["content"] == "HL7 FHIR R4 4.0.1 definitions, CC0-1.0"
    assert set(source["sha256"]) == {name.removeprefix(generate.MODEL) for name in generate.INPUTS}
    assert all(len(digest) == 64 for digest in source["sha256"].values())


def test_the_table_loads_in_less_than_60_ms():
    best = math.inf
    for _ in range(3):
        tables._table.cache_clear()
        start = time.process_time()
        definitions.resource_types()
        best = min(best, time.process_time() - start)
    assert best < 0.06


# --- the generator ----------------------------------------------------------------------------------------------


def _bundle(*resources):
    entries = "".join(f"<entry><resource>{_xml(item['resourceType'], item)}</resource></entry>" for item in resources)
    return f'<Bundle xmlns="http://hl7.org/fhir">{entries}</Bundle>'


def _xml(name, value):
    if not isinstance(value, dict):
        return f'<{name} value="{str(value).lower() if isinstance(value, bool) else value}"/>'
    url = f' url="{value["url"]}"' if name == "extension" else ""
    members = [
        _xml(member, item)
        for member, items in value.items()
        if member != "resourceType" and not (url and member == "url")
        for item in (items if isinstance(items, list) else [items])
    ]
    return f"<{name}{url}>{''.join(members)}</{name}>"


def _element(path, code, **rest):
    return {"path": path, "min": 0, "max": "1", "type": [{"code": code}], **rest}


def _json_bundle(*resources):
    return json.dumps({"resourceType": "Bundle", "entry": [{"resource": resource} for resource in resources]})


def _structure(name, *elements):
    return {
        "resourceType": "StructureDefinition",
        "id": name,
        "snapshot": {"element": [{"path": name, "min": 0, "max": "*"}, *elements]},
    }


def _parameter(id_, code, kind, base, **rest):
    url = f"http://hl7.org/fhir/SearchParameter/{id_}"
    return {"resourceType": "SearchParameter", "id": id_, "url": url, "code": code, "type": kind, "base": base, **rest}


SYSTEM_STRING = {
    "code": "http://hl7.org/fhirpath/System.String",
    "extension": [
        {"url": "urn:other"},
        {"url": generate.FHIR_TYPE, "valueUrl": "string"},
    ],
}


@pytest.fixture
def jar(tmp_path):
    profile = "http://hl7.org/fhir/StructureDefinition/"
    reference = {"code": "Reference", "targetProfile": [profile + "Patient"]}
    anything = {"code": "Reference", "targetProfile": [profile + "Resource"]}
    gender = {"strength": "required", "valueSet": "urn:vs:gender|4.0.1"}
    mixed = {"strength": "required", "valueSet": "urn:vs:mixed"}
    files = {
        generate.RESOURCES: _bundle(
            _structure("Resource", {**_element("Resource.id", ""), "type": [SYSTEM_STRING]}),
            _structure("DomainResource"),
            _structure("Vendor", _element("Vendor.x", "string")),
            _structure(
                "Patient",
                _element("Patient.gender", "code", binding=gender, isSummary=True, isModifier=True),
                _element("Patient.mood", "code", binding=mixed),
                {"path": "Patient.deceased[x]", "min": 0, "max": "1", "type": [{"code": "boolean"}, {"code": "date"}]},
                {"path": "Patient.again", "min": 1, "max": "*", "contentReference": "#Patient.gender"},
                {"path": "Patient.link", "min": 0, "max": "*", "type": [reference]},
                {"path": "Patient.any", "min": 0, "max": "*", "type": [anything]},
            ),
            {"resourceType": "OperationDefinition", "id": "op"},
            {
                "resourceType": "CompartmentDefinition",
                "code": "Patient",
                "resource": [
                    {"code": "Patient", "param": ["{def}", "link"]},
                    {"code": "Group"},
                    {"code": "Account", "param": ["{def}"]},
                ],
            },
            _structure("Group", _element("Group.name", "string")),
        ),
        generate.TYPES: _bundle(_structure("string")),
        generate.PARAMETERS: _json_bundle(
            _parameter("Resource-id", "_id", "token", ["Resource"], expression="Resource.id"),
            _parameter("DomainResource-text", "_text", "string", ["DomainResource"]),
            _parameter("x-name", "name", "string", ["Group", "Patient"], expression="Group.name | Patient.name"),
            _parameter("Group-bare", "bare", "string", ["Group"], expression="name | alias"),
            _parameter(
                "Patient-link", "link", "reference", ["Patient"], expression="Patient.link", target=["Patient", "Group"]
            ),
            _parameter("Patient-any", "any", "reference", ["Patient"], expression="(Patient.any as Reference)"),
            _parameter(
                "Patient-own", "own", "reference", ["Patient"], expression="Patient.link.where(resolve() is Group)"
            ),
            _parameter("Patient-far", "far", "reference", ["Patient"], expression="Patient.far.ref", target=["Group"]),
            _parameter(
                "DocumentReference-relationship",
                "pair",
                "composite",
                ["Patient"],
                expression="Patient",
                component=[
                    {"definition": "http://hl7.org/fhir/SearchParameter/Patient-link", "expression": "gender"},
                    {"definition": "http://hl7.org/fhir/SearchParameter/Resource-id", "expression": "link"},
                ],
            ),
        ),
        generate.VALUE_SETS[0]: _bundle(
            {
                "resourceType": "CodeSystem",
                "id": "resource-types",
                "concept": [{"code": c} for c in ("Resource", "DomainResource", "Patient", "Group")],
            },
            {"resourceType": "CodeSystem", "id": "other"},
            {"resourceType": "ValueSet", "url": "urn:vs:gender", "compose": {"include": [{"system": "urn:cs:gender"}]}},
            {
                "resourceType": "ValueSet",
                "url": "urn:vs:mixed",
                "compose": {"include": [{"system": "a"}, {"system": "b"}]},
            },
            {"resourceType": "ValueSet", "url": "urn:vs:none"},
        ),
        generate.VALUE_SETS[1]: _bundle(),
        generate.MANIFEST: "artifactId=x\nversion=1.2.3\n",
    }
    place = tmp_path / "definitions.jar"
    with ZipFile(place, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return place


def test_the_generator_condenses_elements_parameters_and_compartments(jar):
    table = generate.condense(jar)

    assert table["types"] == ["Group", "Patient"]
    assert "Vendor" not in table["elements"]
    assert table["elements"]["Resource"]["id"][0] == ["string"]
    assert table["elements"]["Patient"]["gender"] == [["code"], 0, 1, "sm", [], "urn:cs:gender", ""]
    assert table["elements"]["Patient"]["mood"][5] == ""
    assert table["elements"]["Patient"]["deceased"] == [["boolean", "date"], 0, 1, "x", [], "", ""]
    assert table["elements"]["Patient"]["again"] == [[], 1, -1, "", [], "", "Patient.gender"]
    own = table["parameters"]["Patient"]
    assert own["name"] == ["string", "Patient.name", [], []]
    assert own["link"][2] == ["Patient"]
    assert own["any"][2] == ["*"]
    assert own["own"][2] == ["Group"]
    assert own["far"][2] == ["Group"]
    assert own["pair"][3] == [["_id", "token", "gender"], ["link", "reference", "link"]]
    assert table["parameters"]["Group"]["bare"][1] == "Group.name | Group.alias"
    assert set(table["parameters"]["Resource"]) == {"_id", "_text", *generate.PROSE_PARAMETERS}
    assert table["compartments"] == {"Patient": {"Patient": ["link"]}}


def test_the_generator_writes_the_same_bytes_for_the_same_input(jar, tmp_path):
    first, second = tmp_path / "1.gz", tmp_path / "2.gz"
    generate.write(jar, first)
    generate.write(jar, second)
    assert first.read_bytes() == second.read_bytes()
    assert json.loads(gzip.decompress(first.read_bytes()))["types"] == ["Group", "Patient"]


def test_the_table_names_the_version_of_its_source(jar, tmp_path):
    assert generate.condense(jar)["provenance"]["package_version"] == "1.2.3"
    unnamed = tmp_path / "unnamed.jar"
    with ZipFile(jar) as full, ZipFile(unnamed, "w") as copy:
        for name in full.namelist():
            copy.writestr(name, b"" if name == generate.MANIFEST else full.read(name))
    assert generate.condense(unnamed)["provenance"]["package_version"] == ""


def test_the_command_line_takes_the_folder_and_the_target(jar, tmp_path):
    target = tmp_path / "table.gz"
    arguments = sys.argv
    sys.argv = ["generate", str(jar), str(target)]
    try:
        runpy.run_path(generate.__file__, run_name="__main__")
    finally:
        sys.argv = arguments
    assert target.read_bytes()
