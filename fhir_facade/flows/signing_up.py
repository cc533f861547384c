"""Patients who make an account for themselves, where a deployment offers that.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x11-V2-Validation-and-Business-Logic.md
"""

from __future__ import annotations

from typing import Final

from fhir_facade.errors import BadRequest, Forbidden
from fhir_facade.fhir.references import reference_texts
from fhir_facade.flows.accounts import NewAccount
from fhir_facade.flows.admission import UNKNOWN, Origin
from fhir_facade.flows.enrol import enrol
from fhir_facade.flows.launch.flood import Flood
from fhir_facade.ports import Ports
from fhir_facade.rows.accounts import Account
from fhir_facade.values import JsonObject

OWN_WORDS: Final = frozenset(
    {
        "resourceType",
        "name",
        "telecom",
        "gender",
        "birthDate",
        "address",
        "maritalStatus",
        "contact",
        "communication",
        "language",
    }
)
"""What a person says about herself. Care relationships, identifiers and links are for those who know."""


async def sign_up(
    ports: Ports, new: NewAccount, patient: JsonObject, *, flood: Flood, origin: Origin = UNKNOWN
) -> Account:
    """An account of a patient and the Patient, both or none. Forbidden where it is not offered; BadRequest, Conflict,
    InvalidResource; TooManyRequests: accounts are not made by the hundred from one address."""
    if not ports.deployment.self_registration:
        raise Forbidden("Accounts are made by the people who run this service: ask them.")
    flood.refuse(origin.address, ports.clock.now())
    others = sorted(patient.keys() - OWN_WORDS)
    if others:
        raise BadRequest(f"Leave {', '.join(others)} out: that is not yours to say.")
    if reference_texts(patient):
        # Made by an engine that sees everything: whether a reference leads anywhere would tell who is there.
        raise BadRequest("Leave references out: what a new record refers to is for those who know.")
    return await enrol(ports, new, patient, actor="person", origin=origin)
