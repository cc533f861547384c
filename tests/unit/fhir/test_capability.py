"""The CapabilityStatement; https://hl7.org/fhir/R4/capabilitystatement.html."""

from dataclasses import replace

import msgspec
import pytest

from fhir_facade.fhir.capability import NORMATIVE, RELEASED, VERSIONS, capability_statement
from fhir_facade.fhir.definitions import resource_types, search_parameters
from fhir_facade.fhir.operations import announced
from fhir_facade.fhir.terminology_capabilities import terminology_capabilities
from fhir_facade.fhir.validation import validate
from fhir_facade.values import Deployment

DEPLOYMENT = Deployment(fhir_url="https://example.org/fhir", software_version="0.1.0")


def rest(**more: object) -> dict:
    return capability_statement(DEPLOYMENT, **more)["rest"][0]  # type: ignore[arg-type]


def described(kind: str, **more: object) -> dict:
    return next(one for one in rest(**more)["resource"] if one["type"] == kind)


def test_the_statement_is_valid() -> None:
    document = msgspec.json.decode(msgspec.json.encode(capability_statement(DEPLOYMENT)))

    assert validate(document, type="CapabilityStatement") == ()


def test_every_type_of_r4_is_described_once() -> None:
    assert [one["type"] for one in rest()["resource"]] == list(resource_types())


def test_it_names_this_deployment_and_version() -> None:
    statement = capability_statement(DEPLOYMENT)

    assert statement["implementation"]["url"] == "https://example.org/fhir"
    assert statement["software"] == {"name": "fhir-facade", "version": "0.1.0", "releaseDate": RELEASED}
    assert statement["date"] == RELEASED
    assert statement["fhirVersion"] == "4.0.1"


def test_smart_clients_find_the_sign_in() -> None:
    security = rest()["security"]

    extension = security["extension"][0]
    assert extension["url"] == "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
    assert {one["url"]: one["valueUri"] for one in extension["extension"]} == {
        "authorize": "https://example.org/oauth/authorize",
        "token": "https://example.org/oauth/token",
        "introspect": "https://example.org/oauth/introspect",
        "register": "https://example.org/oauth/register",
        "revoke": "https://example.org/oauth/revoke",
        "manage": "https://example.org/apps",
    }
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"


def test_only_interactions_that_exist_are_announced() -> None:
    codes = {one["code"] for one in described("Patient")["interaction"]}

    assert codes == {
        *("read", "vread", "update", "patch", "delete", "create", "search-type"),
        *("history-instance", "history-type"),
    }
    assert [one["code"] for one in rest()["interaction"]] == [
        *("transaction", "batch", "search-system", "history-system"),
    ]


@pytest.mark.parametrize("there", [True, False])
def test_full_text_is_announced_where_the_store_has_it(there: bool) -> None:
    statement = capability_statement(replace(DEPLOYMENT, full_text=there))

    names = {one["name"] for one in statement["rest"][0]["searchParam"]}
    assert {"_filter", "_has", "_list", "_type"} <= names
    assert ({"_text", "_content"} <= names) is there


def test_what_every_type_is_searched_by_is_announced_for_the_whole_system() -> None:
    common = set.intersection(
        *(
            {one["name"] for one in each.get("searchParam", [])}
            for each in rest()["resource"]
            if each["type"] != "AuditEvent"
        )
    )

    assert "_id" in common
    assert common <= {one["name"] for one in rest()["searchParam"]}


def test_compartments_are_announced() -> None:
    assert "http://hl7.org/fhir/CompartmentDefinition/patient" in rest()["compartment"]
    assert {"name": "near", "type": "special"} in described("Location")["searchParam"]


def test_search_parameters_are_those_of_the_definitions() -> None:
    listed = {one["name"]: one["type"] for one in described("Observation")["searchParam"]}

    assert listed["code-value-quantity"] == "composite"
    assert listed["_id"] == "token"
    assert listed == {name: one.kind for name, one in search_parameters("Observation").items() if name in listed}


@pytest.mark.parametrize(("kind", "name"), [("Patient", "_filter"), ("Patient", "_query")])
def test_parameters_that_cannot_be_searched_are_not_announced(kind: str, name: str) -> None:
    assert name not in [one["name"] for one in described(kind)["searchParam"]]


def test_includes_follow_reference_parameters() -> None:
    assert {"Observation:subject", "Observation:encounter"} <= set(described("Observation")["searchInclude"])
    assert "Observation:subject" in described("Patient")["searchRevInclude"]
    assert "Provenance:target" not in described("Patient")["searchRevInclude"]


def test_a_type_without_references_has_no_includes() -> None:
    assert "searchInclude" not in described("Parameters")


def test_the_operations_are_those_of_the_table() -> None:
    assert [one["name"] for one in rest()["operation"]] == [name for name, _ in (*announced()[""], VERSIONS)]
    assert {one["name"] for one in described("Observation")["operation"]} >= {"lastn", "stats", "meta"}
    assert "operation" not in described("AuditEvent")


def test_the_normative_part_tells_of_normative_types_only() -> None:
    assert {one["type"] for one in rest(types=NORMATIVE)["resource"]} == NORMATIVE
    assert set(resource_types()) >= NORMATIVE


def test_code_systems_are_told_with_their_version() -> None:
    told = {one["uri"]: one for one in terminology_capabilities(DEPLOYMENT)["codeSystem"]}

    assert "http://loinc.org" in told
    assert all(version["code"] for one in told.values() for version in one.get("version", ()))
