"""The addresses of code systems, ours and others', each written once: https://hl7.org/fhir/R4/terminologies-systems.html"""

from __future__ import annotations

from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

BASE: Final = "https://fhir-facade.org/fhir"

LOINC: Final = "http://loinc.org"
UCUM: Final = "http://unitsofmeasure.org"
_HL7: Final = "http://terminology.hl7.org/CodeSystem"
OBSERVATION_CATEGORY: Final = f"{_HL7}/observation-category"
DATA_ABSENT_REASON: Final = f"{_HL7}/data-absent-reason"
FLAG_CATEGORY: Final = f"{_HL7}/flag-category"
PLAN_DEFINITION_TYPE: Final = f"{_HL7}/plan-definition-type"

NAMESPACE: Final[UUID] = uuid5(NAMESPACE_URL, f"{BASE}/sid")
"""Name space of every id this project derives from a key instead of drawing it by chance."""


def code_system(name: str) -> str:
    """The address of one of our own code systems."""
    return f"{BASE}/CodeSystem/{name}"


def extension(name: str) -> str:
    """The address of one of our own extensions."""
    return f"{BASE}/StructureDefinition/{name}"


def identifier_system(name: str) -> str:
    """The `system` of identifiers this project derives."""
    return f"{BASE}/sid/{name}"


MEASURE: Final = code_system("measure")
OBSERVATION_METHOD: Final = code_system("observation-method")
SLEEP_KIND: Final = code_system("sleep-kind")
HEALTH_SCORE: Final = code_system("health-score")
NICOTINE_EXPOSURE: Final = code_system("nicotine-exposure")
SCORE_METHOD: Final = code_system("score-method")
SCORE_NOTE: Final = code_system("score-note")
CVH_CATEGORY: Final = code_system("cvh-category")
ALERT: Final = code_system("alert")
ALERT_STATUS: Final = code_system("alert-status")
ALERT_VERDICT: Final = code_system("alert-verdict")
ALERT_TASK: Final = code_system("alert-task")
BASIC: Final = code_system("basic")


def deterministic_id(key: str) -> str:
    """The id that a key always has; the same key, the same id, on every machine."""
    return str(uuid5(NAMESPACE, key))
