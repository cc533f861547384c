"""An alert rule as the PlanDefinition that is served: https://hl7.org/fhir/R4/plandefinition.html

    plan_definition(rule) -> dict
    alert_code_system() -> dict         the codes of the shipped rules

R4 has no element for how long a condition must hold or when an alert ends: one extension, alert-rule-terms, says it.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from fhir_facade.rules.alerts.rules import Rule, priority, rules
from terminology import ucum
from terminology.canonical import ALERT, LOINC, PLAN_DEFINITION_TYPE, UCUM, extension
from terminology.codes import coding


def _quantity(value: Decimal, unit: str) -> dict[str, Any]:
    return {"value": value, "unit": ucum.printed(unit), "system": UCUM, "code": unit}


def _minutes(span: timedelta) -> dict[str, Any]:
    return {"value": int(span / timedelta(minutes=1)), "unit": "min", "system": UCUM, "code": "min"}


def _terms(rule: Rule) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [
        {"url": "aggregation", "valueCode": rule.aggregation},
        {"url": "comparator", "valueCode": rule.comparator},
        {"url": "threshold", "valueQuantity": _quantity(rule.threshold, rule.unit)},
        {"url": "minSamples", "valueInteger": rule.min_samples},
        {"url": "staleness", "valueDuration": _minutes(rule.staleness)},
        {"url": "severity", "valueCode": rule.severity},
    ]
    if rule.clear is not None:
        parts.append({"url": "clear", "valueQuantity": _quantity(rule.clear, rule.unit)})
    if rule.component is not None:
        parts.append({"url": "component", "valueCoding": coding(LOINC, rule.component)})
    parts += [{"url": "exclude", "valueCoding": coding(LOINC, code)} for code in rule.exclude]
    spans = (("window", rule.window), ("for", rule.duration))
    parts += [{"url": name, "valueDuration": _minutes(span)} for name, span in spans if span]
    return {"url": extension("alert-rule-terms"), "extension": parts}


def plan_definition(rule: Rule) -> dict[str, Any]:
    """The rule as an event-condition-action rule."""
    filters = [{"path": "code", "code": [coding(LOINC, code) for code in rule.codes]}]
    return {
        "resourceType": "PlanDefinition",
        "id": rule.id,
        "url": rule.url,
        "version": rule.version,
        "name": "".join(word.title() for word in rule.id.split("-")),
        "title": rule.name("en"),
        "type": {"coding": [coding(PLAN_DEFINITION_TYPE, "eca-rule")]},
        "status": "active",
        "description": f"Source: {rule.source}",
        "action": [
            {
                "extension": [_terms(rule)],
                "title": rule.name("en"),
                "priority": priority(rule.severity),
                "trigger": [{"type": "data-added", "data": [{"type": "Observation", "codeFilter": filters}]}],
            }
        ],
    }


def alert_code_system() -> dict[str, Any]:
    """The CodeSystem of the shipped rules, one code per rule."""
    concepts = [{"code": rule.id, "display": rule.name("en"), "definition": rule.source} for rule in rules()]
    return {
        "resourceType": "CodeSystem",
        "id": "alert",
        "url": ALERT,
        "name": "Alert",
        "title": "Alert rules",
        "status": "active",
        "experimental": False,
        "caseSensitive": True,
        "content": "complete",
        "count": len(concepts),
        "concept": concepts,
    }
