"""A line of the audit as an AuditEvent, in the profiles of IHE BALP where these have one.

https://profiles.ihe.net/ITI/BALP/artifacts.html, https://hl7.org/fhir/R4/auditevent.html
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from fhir_facade.fhir.definitions import resource_types
from fhir_facade.fhir.document import instant
from fhir_facade.interactions.audit_codes import Code, code_of, outcomes
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import StoredResource

AUDIT_EVENT: Final = "AuditEvent"
VERSION: Final = "1"
"""A line is written once."""

_PROFILES: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_ENTITY_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ENTITY_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_BALP_ENTITY: Final = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
_SOURCE_TYPE: Final = "http://terminology.hl7.org/CodeSystem/security-source-type"
_SOURCE: Final = {"coding": [{"system": _DCM, "code": "110153", "display": "Source Role ID"}]}
_DESTINATION: Final = {"coding": [{"system": _DCM, "code": "110152", "display": "Destination Role ID"}]}
_RECIPIENT: Final = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]
}
_OVERRIDE: Final = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "BTG"}]}
_HOST_NAME, _ADDRESS, _URI = "1", "2", "5"
_GIVES_DATA: Final = frozenset(("R",))
"""Actions whose data comes from the server; it goes to the server otherwise."""


def stored_audit_event(line: AuditLine, id_: str, people: Mapping[str, Account], fhir_url: str) -> StoredResource:
    """The AuditEvent of a line as a store would hold it. `people` are the accounts that the page names, by id."""
    body = msgspec.json.encode(audit_event(line, id_, people, fhir_url))
    return StoredResource(AUDIT_EVENT, id_, VERSION, line.at, body)


def audit_event(line: AuditLine, id_: str, people: Mapping[str, Account], fhir_url: str) -> dict[str, Any]:
    """The resource under the id that tells no number. What was erased is left out."""
    code = code_of(line.action)
    resource: dict[str, Any] = {
        "resourceType": AUDIT_EVENT,
        "id": id_,
        "meta": {"versionId": VERSION, "lastUpdated": instant(line.at)} | _profile(line, code),
        "type": code.type,
        "subtype": [code.subtype],
        "action": code.action,
        "recorded": instant(line.at),
        "outcome": outcomes()[line.outcome],
        "outcomeDesc": line.detail,
        "purposeOfEvent": [_OVERRIDE] if line.action == "emergency" else None,
        "agent": _agents(line, code, people, fhir_url),
        "source": {
            "observer": {"display": "fhir-facade", "identifier": {"system": "urn:ietf:rfc:3986", "value": fhir_url}},
            "type": [{"system": _SOURCE_TYPE, "code": "4", "display": "Application Server"}],
        },
        "entity": _entities(line, fhir_url),
    }
    return {name: value for name, value in resource.items() if value is not None}


def _profile(line: AuditLine, code: Code) -> dict[str, Any]:
    if code.profile is None:
        return {}
    return {"profile": [f"{_PROFILES}{'Patient' if line.patient else ''}{code.profile}"]}


# --- who ------------------------------------------------------------------------------------------------------


def _agents(line: AuditLine, code: Code, people: Mapping[str, Account], fhir_url: str) -> list[dict[str, Any]]:
    reading = code.action in _GIVES_DATA
    host = urlsplit(fhir_url).hostname or fhir_url
    client = {
        "type": _DESTINATION if reading else _SOURCE,
        "who": _client(line, fhir_url),
        "name": None if line.user else line.actor or None,
        "requestor": line.user is None,
        "network": {"address": line.address, "type": _ADDRESS} if line.address else None,
    }
    server = {
        "type": _SOURCE if reading else _DESTINATION,
        "who": {"display": "fhir-facade", "identifier": {"system": "urn:ietf:rfc:3986", "value": fhir_url}},
        "requestor": False,
        "network": {"address": host, "type": _HOST_NAME},
    }
    agents: list[dict[str, Any]] = [client, server]
    if line.user:
        agents.append(_person(line, people, fhir_url))
    return [{name: value for name, value in agent.items() if value is not None} for agent in agents]


def _client(line: AuditLine, fhir_url: str) -> dict[str, Any]:
    """The app by its client id; without one it was a page of ours, a command, or an engine."""
    if line.client:
        return {"identifier": {"system": f"{_issuer(fhir_url)}/oauth", "value": line.client}}
    return {"display": "fhir-facade" if line.user else line.actor or "unknown"}


def _person(line: AuditLine, people: Mapping[str, Account], fhir_url: str) -> dict[str, Any]:
    """Policy names the token by its row, which is no part of the token."""
    account = people.get(line.user or "")
    who: dict[str, Any] = {"identifier": {"system": _issuer(fhir_url), "value": line.user}}
    reference = None if account is None else person_of(account)
    return {
        "type": _RECIPIENT,
        "who": who if reference is None else {"reference": reference} | who,
        "altId": line.user,
        "requestor": True,
        "policy": [f"urn:ietf:params:oauth:jti:{line.token}"] if line.token else None,
    }


def person_of(account: Account) -> str | None:
    """The resource of the person behind an account; None for who has none."""
    ids = (
        ("Patient", account.patient_id),
        ("Practitioner", account.practitioner_id),
        ("RelatedPerson", account.related_person_id),
    )
    return next((f"{kind}/{id_}" for kind, id_ in ids if id_), None)


def _issuer(fhir_url: str) -> str:
    return fhir_url.removesuffix("/fhir")


# --- what -----------------------------------------------------------------------------------------------------


def _entities(line: AuditLine, fhir_url: str) -> list[dict[str, Any]] | None:
    entities = [*_data(line), *_patient(line), *_query(line, fhir_url), *_transaction(line)]
    return entities or None


def _data(line: AuditLine) -> list[dict[str, Any]]:
    kind, _, id_ = (line.entity or "").partition("/")
    if not id_ or kind not in resource_types():
        return []
    version = f"/_history/{line.version}" if line.version else ""
    return [_entity("2", "System Object", "4", "Domain Resource", what={"reference": f"{line.entity}{version}"})]


def _patient(line: AuditLine) -> list[dict[str, Any]]:
    if line.patient is None:
        return []
    return [_entity("1", "Person", "1", "Patient", what={"reference": f"Patient/{line.patient}"})]


def _query(line: AuditLine, fhir_url: str) -> list[dict[str, Any]]:
    if line.query is None and not line.action.startswith("search"):
        return []
    asked = f"GET {fhir_url}/{line.entity or ''}" + (f"?{line.query}" if line.query else "")
    return [_entity("2", "System Object", "24", "Query", query=base64.b64encode(asked.encode()).decode())]


def _transaction(line: AuditLine) -> list[dict[str, Any]]:
    if not line.request_id:
        return []
    kind = {"system": _BALP_ENTITY, "code": "XrequestId"}
    return [{"type": kind, "what": {"identifier": {"value": line.request_id}}}]


def _entity(kind: str, kind_name: str, role: str, role_name: str, **elements: Any) -> dict[str, Any]:
    return {
        **elements,
        "type": {"system": _ENTITY_TYPE, "code": kind, "display": kind_name},
        "role": {"system": _ENTITY_ROLE, "code": role, "display": role_name},
    }
