"""What leaves and what is written: judged on the resource, refusals first."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_facade.access.check import Check
from fhir_facade.values import Interaction as Do
from terminology.canonical import HEALTH_SCORE
from tests.unit.access.people import (
    A,
    B,
    admin,
    backend,
    check,
    coded,
    engine,
    observation,
    patient,
    practitioner,
    ref,
)

LAB = coded("http://x", "lab")
VITAL = coded("http://x", "vital")
GUARD = {"resourceType": "Basic", "id": "g", "subject": ref("Patient/a"), "code": {"coding": [{"code": "alert-guard"}]}}
CIRCLE = frozenset({A, B})


def device(owner: str | None = None) -> dict[str, Any]:
    return {"resourceType": "Device", "id": "d", **({"patient": ref(f"Patient/{owner}")} if owner else {})}


READS = {
    "patient": check(patient(), Do.READ, "Observation"),
    "labs": check(patient("patient/Observation.rs?category=http://x|lab"), Do.READ, "Observation"),
    "one type": check(patient("patient/Observation.rs"), Do.READ, "Observation"),
    "doctor": check(practitioner(), Do.READ, "Observation", CIRCLE),
    "lonely doctor": check(practitioner(), Do.READ, "Observation"),
    "admin": check(admin(), Do.READ, "Organization"),
    "service": check(backend(), Do.READ, "Observation"),
    "lab service": check(backend("system/Observation.rs?category=http://x|lab"), Do.READ, "Observation"),
    "engine": check(engine("alert-engine"), Do.READ, "Basic"),
}


@pytest.mark.parametrize(
    ("who", "resource"),
    [
        pytest.param("patient", observation("b"), id="about somebody else"),
        pytest.param("patient", observation(None), id="about nobody"),
        pytest.param("patient", observation(None, subject=ref("https://x.example/fhir/Patient/a")), id="absolute"),
        pytest.param("patient", observation("b", performer=[ref("Patient/a")]), id="performer only"),
        pytest.param(
            "patient", {"resourceType": "Patient", "id": "b", "link": [{"other": ref("Patient/a")}]}, id="link"
        ),
        pytest.param(
            "patient",
            {"resourceType": "Appointment", "participant": [{"actor": ref("Patient/a")}, {"actor": ref("Patient/b")}]},
            id="about somebody else too",
        ),
        pytest.param("patient", device("b"), id="device of somebody else"),
        pytest.param(
            "patient",
            {
                "resourceType": "Organization",
                "id": "o",
                "extension": [{"url": "x", "valueReference": ref("Patient/b")}],
            },
            id="shared type that names a patient",
        ),
        pytest.param("patient", {"resourceType": "Group", "member": [{"entity": ref("Patient/a")}]}, id="closed type"),
        pytest.param("patient", {"resourceType": "Unicorn"}, id="unknown type"),
        pytest.param("patient", {}, id="no type"),
        pytest.param("patient", {"resourceType": "OperationOutcome"}, id="never stored"),
        pytest.param("patient", GUARD, id="guard about the patient"),
        pytest.param("service", GUARD, id="guard for a service"),
        pytest.param("labs", observation(category=VITAL), id="other category"),
        pytest.param("labs", observation(), id="no category"),
        pytest.param("labs", observation("b", category=LAB), id="right category, wrong patient"),
        pytest.param("lab service", observation(category=VITAL), id="other category of a service"),
        pytest.param("one type", {"resourceType": "Encounter", "subject": ref("Patient/a")}, id="included, no scope"),
        pytest.param("doctor", observation("c"), id="not in care"),
        pytest.param("lonely doctor", observation("a"), id="nobody in care"),
        pytest.param("admin", observation("a"), id="admins see no charts"),
        pytest.param(
            "engine", {"resourceType": "Condition", "subject": ref("Patient/a")}, id="beyond the engine's work"
        ),
    ],
)
def test_what_is_foreign_or_unclear_does_not_leave(who: str, resource: dict[str, Any]) -> None:
    assert not READS[who].may_leave(resource)


@pytest.mark.parametrize(
    ("who", "resource"),
    [
        pytest.param("patient", observation(), id="own observation"),
        pytest.param("patient", observation(performer=[ref("Patient/b")]), id="own observation by somebody else"),
        pytest.param("patient", {"resourceType": "Patient", "id": "a"}, id="own Patient"),
        pytest.param("patient", device("a"), id="own device"),
        pytest.param("patient", device(), id="unassigned device"),
        pytest.param("patient", {"resourceType": "Practitioner", "id": "p"}, id="included practitioner"),
        pytest.param("patient", {"resourceType": "Binary", "securityContext": ref("Patient/a")}, id="own binary"),
        pytest.param("patient", {"resourceType": "Basic", "subject": ref("Patient/a"), "code": {}}, id="other Basic"),
        pytest.param("patient", {"resourceType": "Basic", "subject": ref("Patient/a")}, id="Basic without code"),
        pytest.param(
            "patient", {"resourceType": "Basic", "subject": ref("Patient/a"), "code": {"coding": ["x"]}}, id="odd Basic"
        ),
        pytest.param("labs", observation(category=VITAL + LAB), id="one of two categories"),
        pytest.param("doctor", observation("b"), id="in care"),
        pytest.param("admin", {"resourceType": "Organization", "id": "o"}, id="directory"),
        pytest.param("service", observation("c"), id="any patient"),
        pytest.param("service", observation(None), id="nobody"),
        pytest.param("engine", GUARD, id="guard for the engine"),
    ],
)
def test_what_is_within_reach_leaves(who: str, resource: dict[str, Any]) -> None:
    assert READS[who].may_leave(resource)


def test_an_envelope_lets_nothing_leave_by_itself() -> None:
    assert not Check(READS["patient"].rights, None, "").may_leave(observation())


RULE = {"resourceType": "PlanDefinition", "id": "r", "url": "https://fhir-facade.org/fhir/PlanDefinition/r"}
RULE_CODES = {"resourceType": "CodeSystem", "id": "alert", "url": "https://fhir-facade.org/fhir/CodeSystem/alert"}
PERSON = {"resourceType": "Patient", "id": "a", "generalPractitioner": [ref("Practitioner/doc")], "active": True}
WRITES = {
    "create": check(patient(), Do.CREATE, "Observation"),
    "update": check(patient(), Do.UPDATE, "Observation"),
    "delete": check(patient(), Do.DELETE, "Observation"),
    "update Patient": check(patient(), Do.UPDATE, "Patient"),
    "update Device": check(patient(), Do.UPDATE, "Device"),
    "create Device": check(patient(), Do.CREATE, "Device"),
    "delete Device": check(patient(), Do.DELETE, "Device"),
    "create labs": check(patient("patient/Observation.cu?category=http://x|lab"), Do.CREATE, "Observation"),
    "update labs": check(patient("patient/Observation.cu?category=http://x|lab"), Do.UPDATE, "Observation"),
    "read all, write labs": check(
        patient("patient/Observation.rs patient/Observation.cu?category=http://x|lab"), Do.UPDATE, "Observation"
    ),
    "doctor": check(practitioner(), Do.UPDATE, "Observation", CIRCLE),
    "doctor's Basic": check(engine("alert-engine"), Do.UPDATE, "Basic"),
    "admin": check(admin(), Do.CREATE, "Organization"),
    "admin's rule": check(admin(), Do.UPDATE, "PlanDefinition"),
    "admin's codes": check(admin(), Do.DELETE, "CodeSystem"),
    "service": check(backend(), Do.UPDATE, "Observation"),
    "service's rule": check(backend(), Do.UPDATE, "PlanDefinition"),
    "service's Basic": check(backend(), Do.UPDATE, "Basic"),
}


@pytest.mark.parametrize(
    ("how", "before", "after"),
    [
        pytest.param("update", None, observation(), id="update as create"),
        pytest.param("update", observation("b"), observation("a"), id="take over a foreign record"),
        pytest.param("update", observation("b"), observation("b"), id="change a foreign record"),
        pytest.param("update", observation(None), observation("a"), id="claim a record about nobody"),
        pytest.param("delete", observation("b"), None, id="delete a foreign record"),
        pytest.param("delete", None, None, id="delete what is absent"),
        pytest.param("update labs", observation(category=VITAL), observation(category=LAB), id="beyond the scope"),
        pytest.param("doctor", observation("c"), observation("a"), id="not in care"),
        pytest.param("doctor", None, observation("a"), id="update as create by a doctor"),
        pytest.param("service's Basic", GUARD, GUARD, id="guard"),
    ],
)
def test_foreign_and_absent_are_hidden_alike(
    how: str, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    answer = WRITES[how].may_write(before, after)

    assert answer is not None
    assert answer.kind == "hidden"
    assert answer == WRITES["update"].may_write(None, observation())


@pytest.mark.parametrize(
    ("how", "before", "after"),
    [
        pytest.param("create", None, observation("b"), id="for somebody else"),
        pytest.param("create", None, observation(None), id="for nobody"),
        pytest.param(
            "create", None, observation(None, subject={"type": "Patient", "identifier": {}}), id="by identifier"
        ),
        pytest.param("create", None, observation(performer=[ref("Patient/b")]), id="names another patient"),
        pytest.param("create", None, observation(derivedFrom=[ref("urn:uuid:x")]), id="names what cannot be told"),
        pytest.param(
            "create",
            None,
            observation(contained=[{"resourceType": "Encounter", "subject": ref("Patient/b")}]),
            id="contains a reference to another patient",
        ),
        pytest.param("create", None, {"resourceType": "Condition", "subject": ref("Patient/a")}, id="another type"),
        pytest.param("create", None, {"subject": ref("Patient/a")}, id="no type"),
        pytest.param("create labs", None, observation(category=VITAL), id="outside the scope's parameters"),
        pytest.param("update", observation(), observation("b"), id="give a record away"),
        pytest.param("update", observation(), observation(None), id="remove the owner"),
        pytest.param("update labs", observation(category=LAB), observation(category=VITAL), id="out of the scope"),
        pytest.param(
            "read all, write labs", observation(category=VITAL), observation(category=LAB), id="into the scope"
        ),
        pytest.param("doctor", observation("a"), observation("b"), id="move between two patients in care"),
        pytest.param("update Patient", PERSON, {**PERSON, "active": False}, id="frozen element"),
        pytest.param("update Patient", PERSON, {**PERSON, "_active": {"id": "x"}}, id="frozen element's extension"),
        pytest.param(
            "update Patient",
            PERSON,
            {k: v for k, v in PERSON.items() if k != "generalPractitioner"},
            id="frozen removed",
        ),
        pytest.param("update Patient", PERSON, {**PERSON, "id": "b"}, id="another id"),
        pytest.param("update Device", device(), device("a"), id="claim a shared device"),
        pytest.param("delete Device", device(), None, id="delete a shared device"),
        pytest.param("create Device", None, device(), id="create a shared device"),
        pytest.param(
            "admin",
            None,
            {"resourceType": "Organization", "extension": [{"url": "x", "valueReference": ref("Patient/a")}]},
            id="patient in a shared type",
        ),
        pytest.param("service's Basic", None, GUARD, id="make a guard"),
        pytest.param("admin's rule", RULE, {**RULE, "status": "retired"}, id="rule of the server"),
        pytest.param("admin's codes", RULE_CODES, None, id="codes of the rules of the server"),
    ],
)
def test_a_result_out_of_bounds_is_forbidden(
    how: str, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    answer = WRITES[how].may_write(before, after)

    assert answer is not None
    assert answer.kind == "forbidden"
    assert answer.reason


@pytest.mark.parametrize(
    ("how", "before", "after"),
    [
        pytest.param("create", None, observation(), id="create"),
        pytest.param("create labs", None, observation(category=LAB), id="create within the scope's parameters"),
        pytest.param("update", observation(), observation(note=[{"text": "x"}]), id="update"),
        pytest.param("update", observation(), observation(performer=[ref("Patient/a")]), id="names itself"),
        pytest.param("delete", observation(), None, id="delete"),
        pytest.param("update Patient", PERSON, {**PERSON, "telecom": [{"value": "1"}]}, id="own telephone"),
        pytest.param("update Device", device("a"), {**device("a"), "status": "inactive"}, id="own device"),
        pytest.param("create Device", None, device("a"), id="new own device"),
        pytest.param("doctor", observation("b"), observation("b", note=[]), id="in care"),
        pytest.param("doctor", observation("b"), observation("b", performer=[ref("Patient/a")]), id="both in care"),
        pytest.param("doctor's Basic", None, GUARD, id="guard by the engine"),
        pytest.param("admin", None, {"resourceType": "Organization"}, id="directory"),
        pytest.param("admin's rule", {**RULE, "url": "urn:own"}, {**RULE, "url": "urn:own"}, id="rule of one's own"),
        pytest.param("admin's rule", {**RULE, "id": "copy"}, {**RULE, "id": "copy"}, id="copy of a rule"),
        pytest.param("admin's codes", {**RULE_CODES, "url": "urn:own"}, None, id="codes of one's own"),
        pytest.param("service's rule", RULE, {**RULE, "status": "retired"}, id="rule of the server by a service"),
        pytest.param("service", None, observation("c"), id="update as create by a service"),
        pytest.param("service", observation("b"), observation("c"), id="correction of the owner by a service"),
    ],
)
def test_a_change_within_reach_is_allowed(
    how: str, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    assert WRITES[how].may_write(before, after) is None


SCORE = {"code": {"coding": [{"system": HEALTH_SCORE, "code": "le8-composite"}]}}


@pytest.mark.parametrize("who", [patient(), practitioner()], ids=["patient", "doctor"])
def test_the_score_is_written_by_whoever_reaches_everybody(who: Any) -> None:
    """Those who have records of some people read it, and may delete it where they may delete."""
    plain, score = observation(A), observation(A) | SCORE
    update = check(who, Do.UPDATE, "Observation", CIRCLE)

    for before, after in ((None, score), (plain, score), (score, plain), (score, score)):
        asked = check(who, Do.CREATE, "Observation", CIRCLE) if before is None else update
        refusal = asked.may_write(before, after)
        assert refusal is not None
        assert refusal.kind == "forbidden"
        assert check(backend(), Do.UPDATE, "Observation").may_write(before, after) is None
        assert check(engine("score"), Do.UPDATE, "Observation").may_write(before, after) is None
    assert check(who, Do.DELETE, "Observation", CIRCLE).may_write(score, None) is None
    assert update.may_write(plain, plain | {"code": {"coding": [{"code": "le8-composite"}]}}) is None
