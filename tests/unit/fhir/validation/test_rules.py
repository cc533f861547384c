"""Faults beside the schema: choices, references, bindings, contained resources, invariants."""

import pytest

from fhir_facade.fhir.validation import validate
from tests.unit.fhir.samples import CONDITION, DROP, HEART_RATE, PATIENT, TRANSACTION, bent, loinc, quantity


def faults(resource: dict) -> list[tuple[str, str | None]]:
    return [(issue.code, issue.expression) for issue in validate(resource, type=resource["resourceType"])]


def texts(resource: dict) -> str:
    return " ".join(issue.diagnostics for issue in validate(resource, type=resource["resourceType"]))


# --- choices --------------------------------------------------------------------------------------------------------

WHY = [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param({"effectivePeriod": {"start": "2026"}}, "effectiveDateTime and effectivePeriod", id="effective"),
        pytest.param({"valueString": "x"}, "valueQuantity and valueString", id="value"),
        pytest.param(
            {"_valueString": {"extension": WHY}}, "valueQuantity and valueString", id="companion of another choice"
        ),
    ],
)
def test_two_choices_at_once_are_refused(changes: dict, text: str) -> None:
    observation = bent(HEART_RATE, meta=DROP, code={"text": "x"}, **changes)

    assert faults(observation) == [("structure", "Observation")]
    assert text in texts(observation)


def test_a_choice_and_its_companion_are_one_choice() -> None:
    assert faults(bent(HEART_RATE, _effectiveDateTime={"id": "x"})) == []


def test_two_choices_in_a_component_are_refused() -> None:
    component = {"code": {"text": "x"}, "valueBoolean": True, "valueInteger": 1}

    assert faults(bent(HEART_RATE, component=[component])) == [("structure", "Observation.component[0]")]


CANONICAL = {"definitionCanonical": "http://example.org/group"}
MET = {"text": "met"}
PERIOD = {"participantEffectivePeriod": {"start": "2026"}}


@pytest.mark.parametrize(
    ("characteristic", "found"),
    [
        pytest.param(CANONICAL | PERIOD, [], id="one of each choice"),
        pytest.param(PERIOD, ["required"], id="none"),
        pytest.param(CANONICAL | {"definitionCodeableConcept": MET}, ["structure"], id="two definitions"),
        pytest.param(
            CANONICAL | PERIOD | {"participantEffectiveDateTime": "2026"}, ["structure"], id="two times of effect"
        ),
    ],
)
def test_a_characteristic_has_one_definition(characteristic: dict, found: list[str]) -> None:
    """https://hl7.org/fhir/R4/evidencevariable.html"""
    variable = {"resourceType": "EvidenceVariable", "status": "active", "characteristic": [characteristic]}

    assert [code for code, _ in faults(variable)] == found


def test_null_in_an_array_needs_an_extension_beside_it() -> None:
    name = {"given": [None, "B", None], "_given": [{"extension": WHY}]}

    assert faults(bent(PATIENT, name=[name])) == [("structure", "Patient.name[0].given[2]")]


# --- references -----------------------------------------------------------------------------------------------------

REPORT = {"status": "complete", "type": "individual", "measure": "http://example.org/m", "period": {"start": "2026"}}
EVENT = {
    "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
    "recorded": "2026-11-23T08:00:00Z",
    "source": {"observer": {"display": "x"}},
}


@pytest.mark.parametrize(
    ("kind", "elements", "path"),
    [
        pytest.param(
            "MeasureReport",
            {**REPORT, "subject": {"reference": "Organization/1"}},
            "subject",
            id="MeasureReport.subject",
        ),
        pytest.param(
            "ResearchStudy", {"status": "active", "site": [{"reference": "Organization/1"}]}, "site[0]", id="a site"
        ),
        pytest.param(
            "AuditEvent",
            {**EVENT, "agent": [{"requestor": True, "who": {"reference": "Group/1"}}]},
            "agent[0].who",
            id="an agent",
        ),
    ],
)
def test_a_reference_leads_to_the_types_of_r4_only(kind: str, elements: dict, path: str) -> None:
    """Types that a later release of FHIR allows there are none of R4."""
    ((_, where),) = faults({"resourceType": kind, **elements})

    assert where is not None
    assert where.startswith(f"{kind}.{path}")


@pytest.mark.parametrize(
    "reference",
    [
        pytest.param({"reference": "Patient/1"}, id="literal"),
        pytest.param({"reference": "Patient/1/_history/2"}, id="version"),
        pytest.param({"reference": "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9"}, id="urn"),
        pytest.param({"reference": "https://example.org/fhir/Group/1"}, id="absolute"),
        pytest.param({"reference": "Patient?identifier=http://a|1"}, id="conditional"),
        pytest.param({"reference": "Patient/1", "type": "Patient"}, id="with its type"),
        pytest.param({"identifier": {"value": "1"}}, id="logical"),
        pytest.param({"display": "Ada"}, id="text only"),
    ],
)
def test_a_reference_may_be_written_in_many_ways(reference: dict) -> None:
    assert faults(bent(HEART_RATE, code={"text": "x"}, meta=DROP, subject=reference)) == []


@pytest.mark.parametrize(
    ("value", "at"),
    [
        pytest.param({"valueReference": {"reference": "Nobody/1"}}, "valueReference.reference", id="reference"),
        pytest.param({"valueReference": {"reference": "#x"}}, "valueReference.reference", id="contained"),
        pytest.param({"valuePeriod": {"start": "2021", "end": "2020"}}, "valuePeriod", id="period"),
    ],
)
def test_values_of_extensions_follow_the_same_rules(value: dict, at: str) -> None:
    extension = {"url": "urn:outer", "extension": [{"url": "inner", **value}]}

    assert [path for _, path in faults(bent(PATIENT, extension=[extension]))] == [
        f"Patient.extension[0].extension[0].{at}"
    ]


@pytest.mark.parametrize(
    ("reference", "at", "text"),
    [
        pytest.param(
            {"reference": "Medication/1"}, "reference", "may only be to: Device, Group, Location, Patient", id="type"
        ),
        pytest.param({"reference": "Medication?a=b"}, "reference", "may only be to", id="type of a condition"),
        pytest.param({"reference": "Patientt/1"}, "reference", "Type/id with an R4 type", id="no type of R4"),
        pytest.param({"reference": "Patient/a b"}, "reference", "Type/id with an R4 type", id="id with a space"),
        pytest.param({"reference": "Patient"}, "reference", "Type/id with an R4 type", id="no id"),
        pytest.param({"reference": "12"}, "reference", "Type/id with an R4 type", id="id only"),
        pytest.param({"reference": "Patient/1", "type": "Group"}, "type", "is 'Group', but", id="another type"),
        pytest.param({"reference": "https://example.org/fhir/Slot/1"}, "reference", "is to Slot", id="elsewhere"),
        pytest.param({"type": "Slot", "display": "x"}, "type", "is to Slot", id="type of a text"),
        pytest.param({"reference": "#p"}, "reference", "ref-1: nothing contained has the id 'p'", id="not contained"),
        pytest.param(
            {"identifier": {"period": {"start": "2021", "end": "2020"}}}, "identifier.period", "per-1", id="identifier"
        ),
    ],
)
def test_a_wrong_reference_is_refused(reference: dict, at: str, text: str) -> None:
    observation = bent(HEART_RATE, code={"text": "x"}, meta=DROP, subject=reference)

    assert [path for _, path in faults(observation)] == [f"Observation.subject.{at}".rstrip(".")]
    assert text in texts(observation)


def test_a_reference_to_any_type_takes_every_type_of_r4() -> None:
    basic = {"resourceType": "Provenance", "recorded": "2026-01-01T00:00:00Z", "agent": [{"who": {"display": "x"}}]}

    assert faults({**basic, "target": [{"reference": "Slot/1"}]}) == []
    assert faults({**basic, "target": [{"reference": "Slots/1"}]}) == [("value", "Provenance.target[0].reference")]


# --- bindings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({"coding": [{"system": "http://example.org", "code": "active"}]}, id="other system"),
        pytest.param(
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "ill"}]},
            id="other code",
        ),
        pytest.param({"coding": [{"code": "active"}]}, id="no system"),
        pytest.param({"text": "active"}, id="text only"),
    ],
)
def test_a_required_binding_needs_one_of_its_codes(status: dict) -> None:
    condition = bent(CONDITION, clinicalStatus=status)

    assert faults(condition) == [("code-invalid", "Condition.clinicalStatus")]
    assert "active, inactive, recurrence" in texts(condition)


def test_a_required_binding_may_be_an_extension_that_says_why() -> None:
    absent = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }

    assert faults(bent(CONDITION, clinicalStatus=absent)) == []


# --- resources inside -----------------------------------------------------------------------------------------------

DEVICE = {"resourceType": "Device", "id": "d"}


def test_a_contained_resource_that_is_referenced_is_fine() -> None:
    assert faults(bent(HEART_RATE, contained=[DEVICE], device={"reference": "#d"})) == []


def test_a_contained_resource_may_be_referenced_by_a_canonical() -> None:
    plan = {"resourceType": "PlanDefinition", "id": "p", "status": "draft"}
    care = {"resourceType": "CarePlan", "status": "draft", "intent": "plan", "subject": {"display": "x"}}

    assert faults({**care, "contained": [plan], "instantiatesCanonical": ["#p"]}) == []


def test_a_contained_resource_may_refer_to_its_container() -> None:
    provenance = {
        "resourceType": "Provenance",
        "id": "p",
        "target": [{"reference": "#"}],
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"who": {"display": "x"}}],
    }

    assert faults(bent(HEART_RATE, contained=[provenance])) == []


@pytest.mark.parametrize(
    ("contained", "fault"),
    [
        pytest.param({**DEVICE, "id": "e"}, ("invariant", ".contained[0]"), id="dom-3: not referenced"),
        pytest.param(
            {**DEVICE, "contained": [DEVICE]}, ("invariant", ".contained[0].contained[0]"), id="dom-2: nested"
        ),
        pytest.param({**DEVICE, "meta": {"versionId": "1"}}, ("invariant", ".contained[0].meta.versionId"), id="dom-4"),
        pytest.param(
            {**DEVICE, "meta": {"security": [{"code": "R"}]}}, ("invariant", ".contained[0].meta.security"), id="dom-5"
        ),
        pytest.param({"resourceType": "Device"}, ("required", ".contained[0].id"), id="no id"),
        pytest.param(
            {"resourceType": "Location", "id": "d"},
            ("value", ".device.reference"),
            id="a type that nobody may refer to",
        ),
        pytest.param({**DEVICE, "foo": 1}, ("structure", ".contained[0].foo"), id="unknown element"),
        pytest.param({**DEVICE, "resourceType": "Dev"}, ("structure", ".contained[0].resourceType"), id="unknown type"),
        pytest.param({**DEVICE, "resourceType": 1}, ("structure", ".contained[0].resourceType"), id="type a number"),
        pytest.param(
            {**DEVICE, "resourceType": ["Device"]}, ("structure", ".contained[0].resourceType"), id="type a list"
        ),
        pytest.param({"id": "d"}, ("required", ".contained[0].resourceType"), id="no type"),
        pytest.param(
            {**DEVICE, "patient": {"reference": "Group/1"}},
            ("value", ".contained[0].patient.reference"),
            id="reference",
        ),
        pytest.param(
            {**DEVICE, "patient": {"reference": "#x"}}, ("value", ".contained[0].patient.reference"), id="ref-1"
        ),
    ],
)
def test_a_faulty_contained_resource_is_refused(contained: dict, fault: tuple[str, str]) -> None:
    observation = bent(HEART_RATE, contained=[contained], device={"reference": "#d"})

    assert (fault[0], "Observation" + fault[1]) in faults(observation)


def test_two_contained_resources_have_two_ids() -> None:
    observation = bent(HEART_RATE, contained=[DEVICE, DEVICE], device={"reference": "#d"})

    assert faults(observation) == [("duplicate", "Observation.contained[1].id")]


@pytest.mark.parametrize("container", ["Observation", "DiagnosticReport"])
def test_a_contained_vital_sign_keeps_to_its_profile(container: str) -> None:
    pulse = bent(HEART_RATE, id="p", meta=DROP, subject=DROP)
    panel = {"resourceType": "Observation", "hasMember": [{"reference": "#p"}]}
    report = {"resourceType": "DiagnosticReport", "result": [{"reference": "#p"}]}
    whole = {"status": "final", "code": TEXT, "contained": [pulse]}

    assert faults({**(panel if container == "Observation" else report), **whole}) == [
        ("invariant", f"{container}.contained[0].subject")
    ]


def test_a_resource_in_a_bundle_is_validated_with_its_path() -> None:
    entry = {"resource": {"resourceType": "Patient", "gender": "x"}, "request": {"method": "POST", "url": "Patient"}}

    assert faults(bent(TRANSACTION, entry=[entry])) == [("code-invalid", "Bundle.entry[0].resource.gender")]


def test_a_resource_in_parameters_is_validated_with_its_path() -> None:
    inner = {"resourceType": "Patient", "link": [{"other": {"reference": "#x"}, "type": "seealso"}]}
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "a", "part": [{"name": "b", "resource": inner}]}],
    }

    assert faults(parameters) == [("value", "Parameters.parameter[0].part[0].resource.link[0].other.reference")]


# --- invariants -----------------------------------------------------------------------------------------------------


def allergy(verification: str, **more: object) -> dict:
    system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
    status = {"coding": [{"system": system, "code": verification}]}
    patient = {"reference": "Patient/1"}
    return {"resourceType": "AllergyIntolerance", "patient": patient, "verificationStatus": status, **more}


def concept(system: str, code: str) -> dict:
    return {"coding": [{"system": f"http://terminology.hl7.org/CodeSystem/{system}", "code": code}]}


def ranged(low: dict, high: dict) -> dict:
    return bent(HEART_RATE, component=[{"code": TEXT, "valueRange": {"low": low, "high": high}}])


RESOLVED = concept("condition-clinical", "resolved")
ACTIVE_ALLERGY = concept("allergyintolerance-clinical", "active")
TEXT = {"text": "x"}
NUMBER = {"system": "urn:x", "value": "1"}


def bundle(kind: str, *entries: dict, **more: object) -> dict:
    return {"resourceType": "Bundle", "type": kind, **({"entry": list(entries)} if entries else {}), **more}


DOCUMENT = {"identifier": NUMBER, "timestamp": "2026-01-01T00:00:00Z"}
GROUP = {"resource": {"resourceType": "Group", "type": "person", "actual": True}}
COMPOSITION = {
    "resource": {
        "resourceType": "Composition",
        "status": "final",
        "type": TEXT,
        "date": "2026",
        "author": [{"display": "x"}],
        "title": "x",
    }
}
HEADER = {"resource": {"resourceType": "MessageHeader", "eventUri": "urn:x", "source": {"endpoint": "http://a"}}}


@pytest.mark.parametrize(
    ("key", "resource", "path"),
    [
        ("ait-1", allergy("confirmed"), ""),
        ("ait-2", allergy("entered-in-error", clinicalStatus=ACTIVE_ALLERGY), ""),
        ("att-1", bent(PATIENT, photo=[{"data": "QUJD"}]), ".photo[0]"),
        ("bdl-1", bundle("collection", total=1), ""),
        ("bdl-2", bundle("collection", {**GROUP, "search": {"mode": "match"}}), ".entry[0]"),
        ("bdl-3", bundle("transaction", GROUP), ".entry[0]"),
        ("bdl-3", bundle("collection", {**GROUP, "request": {"method": "GET", "url": "x"}}), ".entry[0]"),
        ("bdl-4", bundle("batch-response", GROUP), ".entry[0]"),
        ("bdl-5", bundle("collection", {"fullUrl": "urn:x"}), ".entry[0]"),
        ("bdl-7", bundle("collection", *[{**GROUP, "fullUrl": "urn:x"}] * 2), ".entry[1].fullUrl"),
        ("bdl-8", bundle("collection", {**GROUP, "fullUrl": "http://a/Group/1/_history/1"}), ".entry[0]"),
        ("bdl-9", bundle("document", COMPOSITION, timestamp=DOCUMENT["timestamp"]), ""),
        ("bdl-9", bundle("document", COMPOSITION, timestamp=DOCUMENT["timestamp"], identifier={"value": "1"}), ""),
        ("bdl-10", bundle("document", COMPOSITION, identifier=NUMBER), ""),
        ("bdl-11", bundle("document", GROUP, **DOCUMENT), ""),
        ("bdl-11", bundle("document", **DOCUMENT), ""),
        ("bdl-12", bundle("message", GROUP), ""),
        ("con-4", bent(CONDITION, abatementString="x"), ""),
        ("con-5", bent(CONDITION, verificationStatus=concept("condition-ver-status", "entered-in-error")), ""),
        ("cpt-2", bent(PATIENT, telecom=[{"value": "1"}]), ".telecom[0]"),
        ("obs-3", bent(HEART_RATE, referenceRange=[{"type": TEXT}]), ".referenceRange[0]"),
        ("obs-6", bent(HEART_RATE, dataAbsentReason=TEXT), ""),
        ("obs-7", bent(HEART_RATE, component=[{"code": HEART_RATE["code"], "valueInteger": 1}]), ""),
        ("org-1", {"resourceType": "Organization", "active": True}, ""),
        ("pat-1", bent(PATIENT, contact=[{"gender": "other"}]), ".contact[0]"),
        ("per-1", bent(PATIENT, name=[{"period": {"start": "2021-01-02", "end": "2021-01-01"}}]), ".name[0].period"),
        ("rng-2", ranged(quantity(2, "1"), quantity(1, "1")), ".component[0].valueRange"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_invariant_is_named(key: str, resource: dict, path: str) -> None:
    assert faults(resource) == [("invariant", resource["resourceType"] + path)]
    assert f"breaks {key}:" in texts(resource)


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(allergy("confirmed", clinicalStatus=ACTIVE_ALLERGY), id="allergy"),
        pytest.param(allergy("entered-in-error"), id="allergy in error"),
        pytest.param(bundle("searchset", {**GROUP, "search": {"mode": "match"}}, total=1), id="searchset"),
        pytest.param(
            bundle("collection", {**GROUP, "fullUrl": "urn:x"}, {**GROUP, "fullUrl": "urn:y"}, GROUP), id="collection"
        ),
        pytest.param(
            bundle(
                "collection",
                *[
                    {"fullUrl": "urn:x", "resource": {**GROUP["resource"], "meta": {"versionId": version}}}
                    for version in "12"
                ],
            ),
            id="two versions",
        ),
        pytest.param(
            bundle(
                "history",
                *[{"fullUrl": "urn:x", "request": {"method": "DELETE", "url": "x"}, "response": {"status": "204"}}] * 2,
            ),
            id="history",
        ),
        pytest.param(bundle("document", COMPOSITION, **DOCUMENT), id="document"),
        pytest.param(bundle("message", HEADER), id="message"),
        pytest.param(bent(CONDITION, clinicalStatus=RESOLVED, abatementString="x"), id="resolved"),
        pytest.param(bent(CONDITION, clinicalStatus=DROP, abatementString="x"), id="abated without status"),
        pytest.param(bent(HEART_RATE, component=[{"code": TEXT, "valueInteger": 1}]), id="component"),
        pytest.param(bent(HEART_RATE, valueQuantity=DROP, dataAbsentReason=TEXT), id="no value"),
        pytest.param(bent(PATIENT, name=[{"period": {"start": "2021-01", "end": "2021"}}]), id="two precisions"),
        pytest.param(ranged(quantity(2, "g"), quantity(1, "kg")), id="range of two units"),
        pytest.param(ranged({"unit": "g"}, {"unit": "g", "value": 1}), id="range without number"),
    ],
)
def test_what_satisfies_the_invariants_is_accepted(resource: dict) -> None:
    assert faults(resource) == []


def test_a_bundle_entry_with_an_odd_meta_is_refused_by_its_own_type() -> None:
    entry = {"fullUrl": "urn:x", "resource": {**GROUP["resource"], "meta": "x"}}

    assert faults(bundle("collection", entry)) == [("structure", "Bundle.entry[0].resource.meta")]


# --- vital signs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        pytest.param({"valueQuantity": quantity(72, "{beats}/min")}, ".valueQuantity.code", id="unit"),
        pytest.param({"valueQuantity": DROP}, "", id="no value"),
    ],
)
def test_a_vital_sign_follows_its_profile(changes: dict, path: str) -> None:
    assert faults(bent(HEART_RATE, **changes)) == [("invariant", "Observation" + path)]


def test_a_vital_sign_without_the_code_of_its_profile_is_a_warning() -> None:
    issues = validate(bent(HEART_RATE, code=loinc("40443-4"), meta=DROP), type="Observation")

    assert [(issue.severity, issue.expression) for issue in issues] == [("warning", "Observation.code")]
