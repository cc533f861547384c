"""The launch context: what an app is told of the situation it was started in, beside its token.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#launch-context-arrives-with-your-access_token
"""

from __future__ import annotations

import msgspec

from fhir_facade.flows.launch.issuer import TENANT, Issuer
from fhir_facade.rows.oauth import Grant, Launch
from fhir_facade.values import Json


def launch_context(issuer: Issuer, grant: Grant) -> dict[str, Json]:
    """The parameters of token answers and introspection alike; what there is nothing to say about is left out."""
    told: dict[str, Json] = {"patient": grant.patient, "encounter": grant.encounter, "intent": grant.intent}
    if grant.context is not None:
        told["fhirContext"] = msgspec.json.decode(grant.context)
    if grant.patient is not None:
        told["need_patient_banner"] = grant.banner
    if "launch" in grant.scope.split():
        told |= {"smart_style_url": issuer.style, "tenant": TENANT}
    return {name: value for name, value in told.items() if value is not None}


def kept_context(launch: Launch | None) -> dict[str, Json]:
    """What a grant keeps of the launch it came from, as fields of its row."""
    if launch is None:
        return {}
    return {
        "encounter": launch.encounter,
        "intent": launch.intent,
        "context": launch.context,
        "banner": launch.banner,
    }
