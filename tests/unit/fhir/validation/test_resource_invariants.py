"""Invariants of single types, for `$validate`: each is broken once, and what keeps to all of them is accepted."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_facade.fhir.validation import validate
from fhir_facade.fhir.validation.amounts_and_times import TYPE_INVARIANTS
from fhir_facade.fhir.validation.resource_invariants import RESOURCE_INVARIANTS

Resource = dict[str, Any]

TEXT, WHO = {"text": "x"}, {"reference": "Patient/p"}
UCUM = "http://unitsofmeasure.org"

LEAST: dict[str, Resource] = {
    "Appointment": {"status": "proposed", "participant": [{"status": "accepted", "actor": WHO}]},
    "AppointmentResponse": {"appointment": {"display": "x"}, "participantStatus": "accepted", "actor": WHO},
    "AuditEvent": {
        "type": {"code": "x"},
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"requestor": True}],
        "source": {"observer": WHO},
    },
    "CarePlan": {"status": "active", "intent": "plan", "subject": WHO},
    "CodeSystem": {"status": "active", "content": "complete"},
    "Composition": {"status": "final", "type": TEXT, "date": "2026", "author": [WHO], "title": "x"},
    "ConceptMap": {"status": "active"},
    "Condition": {"subject": WHO},
    "Consent": {"status": "active", "scope": TEXT, "category": [TEXT], "policyRule": TEXT},
    "Encounter": {"status": "finished", "class": {"code": "AMB"}},
    "FamilyMemberHistory": {"status": "completed", "patient": WHO, "relationship": TEXT},
    "Goal": {"lifecycleStatus": "active", "description": TEXT, "subject": WHO},
    "Group": {"type": "person", "actual": True},
    "Immunization": {"status": "completed", "vaccineCode": TEXT, "patient": WHO, "occurrenceString": "x"},
    "ImmunizationRecommendation": {
        "patient": WHO,
        "date": "2026",
        "recommendation": [{"forecastStatus": TEXT, "targetDisease": TEXT}],
    },
    "Linkage": {"item": [{"type": "source", "resource": WHO}, {"type": "alternate", "resource": WHO}]},
    "List": {"status": "current", "mode": "snapshot"},
    "MedicationAdministration": {
        "status": "completed",
        "medicationCodeableConcept": TEXT,
        "subject": WHO,
        "effectiveDateTime": "2026",
    },
    "MedicationDispense": {"status": "completed", "medicationCodeableConcept": TEXT},
    "Organization": {"name": "x"},
    "Parameters": {},
    "Questionnaire": {"status": "active"},
    "QuestionnaireResponse": {"status": "completed"},
    "RequestGroup": {"status": "active", "intent": "plan"},
    "ServiceRequest": {"status": "active", "intent": "order", "subject": WHO},
    "Task": {"status": "requested", "intent": "order"},
    "ValueSet": {"status": "active"},
}


def resource(kind: str, **elements: Any) -> Resource:
    return {"resourceType": kind, **LEAST[kind], **elements}


def item(**elements: Any) -> Resource:
    return resource("Questionnaire", item=[{"linkId": "1", "type": "string", **elements}])


def expanded(**elements: Any) -> Resource:
    return resource("ValueSet", expansion={"timestamp": "2026", "contains": [elements]})


def composed(**elements: Any) -> Resource:
    return resource("ValueSet", compose={"include": [elements]})


def mapped(name: str, **elements: Any) -> Resource:
    group: Resource = {"element": [{"code": "x", "target": [elements]}]} if name == "target" else {"unmapped": elements}
    return resource("ConceptMap", group=[{"element": [{"code": "x"}], **group}])


def aged(**age: Any) -> Resource:
    return resource("Condition", onsetAge=age)


def counted(**count: Any) -> Resource:
    return resource("Condition", extension=[{"url": "urn:x", "valueCount": count}])


def far(**distance: Any) -> Resource:
    return resource("Condition", extension=[{"url": "urn:x", "valueDistance": distance}])


def timed(**repeat: Any) -> Resource:
    return resource("ServiceRequest", occurrenceTiming={"repeat": repeat})


def ratio(**parts: Any) -> Resource:
    return resource("Condition", extension=[{"url": "urn:x", "valueRatio": parts}])


YEARS, OPTION = {"system": UCUM, "code": "a"}, [{"valueString": "a"}]
INITIAL = [{"valueString": "a"}]
GROUP = {"linkId": "1", "type": "group"}

BROKEN: list[tuple[str, Resource]] = [
    ("age-1", aged(value=-1, **YEARS)),
    ("age-1", aged(value=1)),
    ("age-1", aged(value=1, system="urn:x", code="a")),
    ("app-1", resource("Appointment", participant=[{"status": "accepted"}])),
    ("app-2", resource("Appointment", start="2026-01-01T00:00:00Z")),
    ("app-3", resource("Appointment", status="booked")),
    ("app-4", resource("Appointment", cancelationReason=TEXT)),
    ("apr-1", {k: v for k, v in resource("AppointmentResponse").items() if k != "actor"}),
    ("sev-1", resource("AuditEvent", entity=[{"name": "x", "query": "eA=="}])),
    (
        "cpl-3",
        resource(
            "CarePlan", activity=[{"reference": WHO | {"reference": "Task/t"}, "detail": {"status": "completed"}}]
        ),
    ),
    ("csd-1", resource("CodeSystem", concept=[{"code": "a", "concept": [{"code": "b"}, {"code": "a"}]}])),
    ("cmp-1", resource("Composition", section=[{"title": "x"}])),
    ("cmp-2", resource("Composition", section=[{"emptyReason": TEXT, "entry": [WHO]}])),
    ("cmd-1", mapped("target", equivalence="narrower")),
    ("cmd-2", mapped("unmapped", mode="fixed")),
    ("cmd-3", mapped("unmapped", mode="other-map")),
    ("con-1", resource("Condition", stage=[{"type": TEXT}])),
    ("con-2", resource("Condition", evidence=[{"extension": [{"url": "urn:x", "valueString": "x"}]}])),
    ("ppc-1", {k: v for k, v in resource("Consent").items() if k != "policyRule"}),
    ("cnt-3", counted(value=1.5, system=UCUM, code="1")),
    ("cnt-3", counted(value=1, system=UCUM, code="g")),
    ("dis-1", far(value=1)),
    ("drt-1", resource("Encounter", length={"system": UCUM, "code": "h"})),
    (
        "fhs-1",
        resource("FamilyMemberHistory", ageString="x", _bornString={"extension": [{"url": "u", "valueCode": "x"}]}),
    ),
    ("fhs-2", resource("FamilyMemberHistory", estimatedAge=True)),
    ("gol-1", resource("Goal", target=[{"detailString": "x"}])),
    ("grp-1", resource("Group", actual=False, member=[{"entity": WHO}])),
    ("imm-1", resource("Immunization", education=[{"publicationDate": "2026"}])),
    ("imr-1", resource("ImmunizationRecommendation", recommendation=[{"forecastStatus": TEXT}])),
    ("lnk-1", resource("Linkage", item=[{"type": "source", "resource": WHO}])),
    ("lst-1", resource("List", emptyReason=TEXT, entry=[{"item": WHO}])),
    ("lst-2", resource("List", entry=[{"item": WHO, "deleted": True}])),
    ("lst-3", resource("List", entry=[{"item": WHO, "date": "2026"}])),
    ("mad-1", resource("MedicationAdministration", dosage={"text": "x"})),
    ("mdd-1", resource("MedicationDispense", whenPrepared="2026-01-02", whenHandedOver="2026-01-01")),
    ("org-2", resource("Organization", address=[{"use": "home", "city": "x"}])),
    ("org-3", resource("Organization", telecom=[{"use": "home", "system": "phone", "value": "1"}])),
    (
        "inv-1",
        resource(
            "Parameters", parameter=[{"name": "x", "valueString": "a", "part": [{"name": "y", "valueCode": "b"}]}]
        ),
    ),
    ("inv-1", resource("Parameters", parameter=[{"name": "x"}])),
    ("que-1", item(type="group")),
    ("que-1", item(type="display", item=[{"linkId": "2", "type": "string"}])),
    ("que-2", item(type="group", item=[{"linkId": "1", "type": "string"}])),
    ("que-3", item(type="display", code=[{"code": "x"}])),
    ("que-4", item(type="choice", answerOption=OPTION, answerValueSet="urn:x")),
    ("que-5", item(type="boolean", answerOption=OPTION)),
    ("que-5", item(type="boolean", answerValueSet="urn:x")),
    ("que-6", item(type="display", required=True)),
    ("que-6", item(type="display", repeats=True)),
    ("que-7", item(enableWhen=[{"question": "1", "operator": "exists", "answerString": "x"}])),
    ("que-8", item(type="group", initial=INITIAL, item=[{"linkId": "2", "type": "string"}])),
    ("que-9", item(type="display", readOnly=True)),
    ("que-10", item(type="choice", maxLength=3)),
    ("que-11", item(answerOption=OPTION, initial=INITIAL)),
    ("que-12", item(enableWhen=[{"question": "1", "operator": "=", "answerString": "x"}] * 3)),
    ("que-13", item(initial=INITIAL * 2)),
    ("qrs-1", resource("QuestionnaireResponse", item=[{"linkId": "1", "answer": OPTION, "item": [{"linkId": "2"}]}])),
    ("rqg-1", resource("RequestGroup", action=[{"title": "x"}])),
    ("prr-1", resource("ServiceRequest", orderDetail=[TEXT])),
    ("inv-1", resource("Task", authoredOn="2026-01-02", lastModified="2026-01-01")),
    ("vsd-1", composed(version="1")),
    ("vsd-2", composed(valueSet=["urn:x"], concept=[{"code": "x"}])),
    ("vsd-2", composed(valueSet=["urn:x"], filter=[{"property": "a", "op": "=", "value": "b"}])),
    ("vsd-3", composed(system="urn:x", concept=[{"code": "x"}], filter=[{"property": "a", "op": "=", "value": "b"}])),
    ("vsd-6", expanded(abstract=True)),
    ("vsd-9", expanded(display="x")),
    ("vsd-10", expanded(code="x")),
    ("rat-1", ratio(numerator={"value": 1})),
    ("rat-1", ratio(id="x", extension=[{"url": "urn:x", "valueCode": "x"}], denominator={"value": 1})),
    ("tim-1", timed(duration=1)),
    ("tim-2", timed(period=1)),
    ("tim-4", timed(duration=-1, durationUnit="h")),
    ("tim-5", timed(period=-1, periodUnit="h")),
    ("tim-6", timed(periodMax=1)),
    ("tim-7", timed(durationMax=1)),
    ("tim-8", timed(countMax=1)),
    ("tim-9", timed(offset=1)),
    ("tim-9", timed(offset=1, when=["C"])),
    ("tim-10", timed(timeOfDay=["10:00:00"], when=["MORN"])),
]


@pytest.mark.parametrize(("key", "broken"), BROKEN, ids=[f"{key} {at}" for at, (key, _) in enumerate(BROKEN)])
def test_a_broken_invariant_is_named(key: str, broken: Resource) -> None:
    issues = validate(broken, type=broken["resourceType"], every=True)

    assert [issue.code for issue in issues] == ["invariant"] * len(issues)
    assert f"breaks {key}:" in " ".join(issue.diagnostics for issue in issues)


def test_every_invariant_is_broken_once() -> None:
    tables = (*RESOURCE_INVARIANTS.values(), *TYPE_INVARIANTS.values())

    assert {rule.key for rules in tables for rule in rules} == {key for key, _ in BROKEN}


GOOD: list[Resource] = [
    *(resource(kind) for kind in LEAST if kind not in ("Parameters", "AuditEvent")),
    aged(value=3, **YEARS),
    counted(value=3, system=UCUM, code="1"),
    counted(value=3.0, code="1", system=UCUM),
    far(value=3, system=UCUM, code="km"),
    resource("Appointment", status="booked", start="2026-01-01T00:00:00Z", end="2026-01-01T01:00:00Z"),
    resource("Appointment", status="cancelled", cancelationReason=TEXT),
    resource("AuditEvent", entity=[{"name": "x"}]),
    resource("Encounter", length={"value": 1, "system": UCUM, "code": "h"}),
    resource("FamilyMemberHistory", ageString="x", estimatedAge=True),
    resource("Goal", target=[{"measure": TEXT, "detailString": "x"}]),
    resource("List", mode="changes", entry=[{"item": WHO, "deleted": True}]),
    resource("List", mode="working", entry=[{"item": WHO, "date": "2026"}]),
    resource("Parameters", parameter=[{"name": "x", "resource": {"resourceType": "Basic", "code": TEXT}}]),
    item(type="choice", answerOption=OPTION),
    item(type="display", text="x"),
    item(type="group", item=[{"linkId": "2", "type": "string", "initial": INITIAL * 2, "repeats": True}]),
    item(enableWhen=[{"question": "1", "operator": "exists", "answerBoolean": True}] * 3, enableBehavior="any"),
    mapped("target", equivalence="narrower", comment="x"),
    mapped("unmapped", mode="fixed", code="x"),
    mapped("unmapped", mode="other-map", url="urn:x"),
    resource("RequestGroup", action=[{"resource": {"reference": "Task/t"}}]),
    composed(system="urn:x", filter=[{"property": "a", "op": "=", "value": "b"}]),
    expanded(display="x", abstract=True),
    timed(duration=1, durationUnit="h", offset=5, when=["HS"]),
    timed(period=1, _periodUnit={"extension": [{"url": "urn:x", "valueCode": "x"}]}),
    ratio(numerator={"value": 1}, denominator={"value": 2}),
    ratio(extension=[{"url": "urn:x", "valueCode": "x"}]),
]


@pytest.mark.parametrize("good", GOOD, ids=[f"{one['resourceType']} {at}" for at, one in enumerate(GOOD)])
def test_what_keeps_to_the_invariants_is_accepted(good: Resource) -> None:
    assert validate(good, type=good["resourceType"], every=True) == ()


def test_a_write_may_break_them_also_inside_of_another_resource() -> None:
    booked = resource("Appointment", status="booked")
    entry = {"resource": booked, "request": {"method": "POST", "url": "Appointment"}}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}

    assert validate(booked, type="Appointment") == validate(bundle, type="Bundle") == ()
    assert [issue.expression for issue in validate(bundle, type="Bundle", every=True)] == ["Bundle.entry[0].resource"]
