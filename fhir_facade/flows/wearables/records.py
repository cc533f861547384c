"""The resources a connection makes: Consent (what may be read), Device (the wearable), Provenance (one per sync).

https://hl7.org/fhir/R4/consent.html, https://hl7.org/fhir/R4/device.html, https://hl7.org/fhir/R4/provenance.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from fhir_facade.access.periods import covers
from fhir_facade.fhir.document import decimal_dumps, instant
from fhir_facade.ports import VendorSettings
from fhir_facade.rows.connections import Connection, SyncRun
from fhir_facade.values import FhirRequest, Interaction, Preference
from terminology.canonical import deterministic_id, identifier_system

_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"
_URI: Final = "urn:ietf:rfc:3986"

Resource = Mapping[str, Any]


def _key(connection: Connection) -> str:
    return f"{connection.patient}|{connection.vendor}|{connection.account}"


def consent_id(connection: Connection) -> str:
    """The same for the same patient, vendor and account: a second consent is a new version of the first."""
    return deterministic_id(f"{_key(connection)}|consent")


def device_id(connection: Connection) -> str:
    return deterministic_id(f"{_key(connection)}|device")


def consent(connection: Connection, scopes: Sequence[str], title: str, now: datetime) -> Resource:
    """An active Consent: the person lets us read at the vendor what these scopes (URIs) name, until withdrawn."""
    return {
        "resourceType": "Consent",
        "id": consent_id(connection),
        "identifier": [_identifier(connection)],
        "status": "active",
        "scope": _concept(f"{_TERMINOLOGY}/consentscope", "patient-privacy", "Privacy Consent"),
        "category": [_concept("http://loinc.org", "59284-0", "Consent Document")],
        "patient": _patient(connection),
        "dateTime": instant(now),
        "performer": [_patient(connection)],
        "policyRule": _concept(f"{_TERMINOLOGY}/v3-ActCode", "OPTIN", "opt-in"),
        "provision": {
            "type": "permit",
            "period": {"start": instant(now)},
            "code": [{"coding": [{"system": _URI, "code": scope}], "text": title} for scope in scopes],
        },
    }


def withdrawn(resource: Resource, now: datetime) -> Resource:
    """The Consent after disconnecting."""
    provision = dict(resource.get("provision", {}))
    provision["period"] = {**provision.get("period", {}), "end": instant(now)}
    return {**_without_meta(resource), "status": "inactive", "provision": provision}


def consented_scopes(resource: Resource, now: datetime) -> frozenset[str]:
    """The scopes an active Consent permits at this moment; none for every other one, or for a time nobody can read."""
    provision = resource.get("provision", {})
    if resource.get("status") != "active" or provision.get("type") != "permit" or not covers(provision, now):
        return frozenset()
    codings = [coding for concept in provision.get("code", []) for coding in concept.get("coding", [])]
    return frozenset(coding["code"] for coding in codings if coding.get("system") == _URI and "code" in coding)


def device(connection: Connection, settings: VendorSettings | None, title: str) -> Resource:
    """The wearable as the vendor names it; without its settings only the vendor is known."""
    trackers = [] if settings is None else [each for each in settings.devices if each.name]
    names = [each.name for each in sorted(trackers, key=lambda each: (each.kind != "tracker", each.id))]
    return {
        "resourceType": "Device",
        "id": device_id(connection),
        "identifier": [_identifier(connection)],
        "status": "active",
        "deviceName": [{"name": name, "type": "user-friendly-name"} for name in names or [title]],
        "type": {"text": f"{title} wearable"},
        "patient": _patient(connection),
    }


def provenance(connection: Connection, run: SyncRun, title: str, now: datetime) -> Resource:
    """Where everything that a sync wrote came from. The patient is a target too: the R4 compartment finds a Provenance
    through that alone, and people may know where their record came from."""
    return {
        "resourceType": "Provenance",
        "target": [{"reference": target} for target in run.targets] + [_patient(connection)],
        "occurredPeriod": {"start": instant(run.started_at), "end": instant(now)},
        "recorded": instant(now),
        "activity": _concept(f"{_TERMINOLOGY}/v3-DataOperation", "UPDATE", "revise"),
        "agent": [
            {
                "type": _concept(f"{_TERMINOLOGY}/provenance-participant-type", "assembler", "Assembler"),
                "who": {"reference": f"Device/{connection.device}"},
            }
        ],
        "entity": [{"role": "source", "what": {"identifier": _identifier(connection), "display": title}}],
    }


def transaction(resources: Iterable[Resource]) -> FhirRequest:
    """One transaction of PUTs with the ids the resources carry, answered without bodies."""
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in resources
    ]
    body = decimal_dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    return FhirRequest(Interaction.TRANSACTION, body=body, prefer=Preference(returns="minimal"))


def _without_meta(resource: Resource) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name != "meta"}


def erroneous(resource: Resource) -> Resource:
    """An Observation whose record vanished at the vendor."""
    return {**_without_meta(resource), "status": "entered-in-error"}


def _identifier(connection: Connection) -> dict[str, str]:
    return {"system": identifier_system(connection.vendor), "value": _key(connection)}


def _patient(connection: Connection) -> dict[str, str]:
    return {"reference": f"Patient/{connection.patient}"}


def _concept(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}]}
