"""Principals and resources that the tests of this room speak about."""

from __future__ import annotations

from typing import Any

from fhir_facade.access.check import Check
from fhir_facade.access.policy import Allow, Ask, decide
from fhir_facade.access.scopes import parse_scopes
from fhir_facade.values import Interaction, PatientId, Principal

A, B, C = PatientId("a"), PatientId("b"), PatientId("c")
NOBODY_YET: frozenset[PatientId] = frozenset()


def patient(scopes: str = "patient/*.cruds", who: PatientId | None = A) -> Principal:
    return Principal("patient", user="account-a", patient=who, scopes=parse_scopes(scopes).fhir)


def practitioner(scopes: str = "user/*.cruds", picked: PatientId | None = None) -> Principal:
    return Principal("practitioner", practitioner="doc", patient=picked, scopes=parse_scopes(scopes).fhir)


def admin(scopes: str = "user/*.cruds") -> Principal:
    return Principal("admin", user="root", scopes=parse_scopes(scopes).fhir)


def backend(scopes: str = "system/*.cruds", context: PatientId | None = None) -> Principal:
    return Principal("backend", client="service", patient=context, scopes=parse_scopes(scopes).fhir)


def engine(name: str) -> Principal:
    return Principal("engine", name=name)


def anonymous() -> Principal:
    return Principal("anonymous")


def check(
    principal: Principal, interaction: Interaction, type_name: str, circle: frozenset[PatientId] = NOBODY_YET
) -> Check:
    answer = decide(principal, Ask(interaction, type_name, circle=circle))
    assert isinstance(answer, Allow), answer
    return answer.check


def ref(target: str) -> dict[str, str]:
    return {"reference": target}


def observation(owner: str | None = "a", **elements: Any) -> dict[str, Any]:
    subject = {"subject": ref(f"Patient/{owner}")} if owner else {}
    return {"resourceType": "Observation", "id": "o", "status": "final", **subject, **elements}


def coded(system: str, code: str) -> list[dict[str, Any]]:
    return [{"coding": [{"system": system, "code": code}]}]
