"""The definitions of the alert rules in the store: what is missing of them, or says something else than this version.

https://hl7.org/fhir/R4/plandefinition.html, https://hl7.org/fhir/R4/codesystem.html
"""

from __future__ import annotations

from fhir_facade.access.guards import is_definition
from fhir_facade.fhir.document import decimal_dumps, equal_values, parse_stored
from fhir_facade.interactions.alerts.stored import currents
from fhir_facade.interactions.update import NOTHING
from fhir_facade.ports import Ports
from fhir_facade.rules.alerts import alert_code_system, plan_definition, rules
from fhir_facade.values import FhirRequest, Interaction, JsonObject, Ref


async def outdated(ports: Ports) -> tuple[list[FhirRequest], list[Ref]]:
    """The updates that are due, each of exactly what was looked at, and the ids under which there is something else,
    which somebody wrote and nobody replaces."""
    shipped = {Ref(str(each["resourceType"]), str(each["id"])): each for each in _shipped()}
    stored = await currents(ports, shipped.keys())
    due: list[FhirRequest] = []
    taken: list[Ref] = []
    for ref, resource in shipped.items():
        there, body = stored.get(ref), decimal_dumps(resource)
        if there is not None and not is_definition(parse_stored(there.body)):
            taken.append(ref)
        elif there is None or not equal_values(body, there.body):
            seen = NOTHING if there is None else there.version
            due.append(FhirRequest(Interaction.UPDATE, ref.type, ref.id, body=body, if_match=seen))
    return due, taken


def _shipped() -> list[JsonObject]:
    """The code system comes last: what goes wrong with it leaves the rules as they are."""
    return [*map(plan_definition, rules()), alert_code_system()]
