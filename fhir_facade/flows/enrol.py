"""An account together with the person in the records: both are made, or none.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import msgspec

from fhir_facade.errors import BadRequest, NotFound
from fhir_facade.flows.accounts import NewAccount, account_row, add_account, added, check_account, name_taken
from fhir_facade.flows.admission import UNKNOWN, Origin
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports
from fhir_facade.rows.accounts import Account
from fhir_facade.values import FhirRequest, Interaction, JsonObject, Principal

PERSON_OF: Final = {"patient": "Patient", "practitioner": "Practitioner", "proxy": "RelatedPerson"}
"""What somebody of this role is in the records. Staff and administrators are nobody there."""

ID_OF: Final = {"patient": "patient_id", "practitioner": "practitioner_id", "proxy": "related_person_id"}
ENGINE: Final = Principal("engine", name="enrol")
NOTHING: Final = "0"
"""If-Match of a resource that is not there yet."""


async def enrol(
    ports: Ports, new: NewAccount, person: JsonObject | None = None, *, actor: str, origin: Origin = UNKNOWN
) -> Account:
    """Make an account; with `person` also its Patient, Practitioner or RelatedPerson, under an id of ours.

    BadRequest for what cannot be meant, InvalidResource for a person that is none; Conflict when the name is taken.
    Without `person` the resource the account names has to be there.
    """
    if person is None:
        await _refuse_unknown(ports, new, origin)
        return await add_account(ports, new, actor=actor)
    kind = PERSON_OF.get(new.role)
    if kind is None:
        raise BadRequest(f"An account of the role {new.role} has no person in the records.")
    if person.get("resourceType", kind) != kind or "id" in person or getattr(new, ID_OF[new.role]) is not None:
        raise BadRequest(f"The person of a {new.role} account is a {kind} without id, and it is not named as well.")
    identified = replace(new, **{ID_OF[new.role]: ports.ids.new()})
    check_account(identified)
    row = await account_row(ports, identified)
    async with name_taken(ports, row):
        await _write(ports, kind, person, row, actor, origin)
    return row


async def _write(ports: Ports, kind: str, person: JsonObject, row: Account, actor: str, origin: Origin) -> None:
    """One unit of work: the resource, the account and both lines of the audit."""
    person_id = str(getattr(row, ID_OF[row.role]))
    body = msgspec.json.encode({**person, "resourceType": kind, "id": person_id})
    request = FhirRequest(
        Interaction.UPDATE,
        kind,
        person_id,
        body=body,
        if_match=NOTHING,
        request_id=origin.request_id,
        address=origin.address,
    )
    await dispatch(ports, ENGINE, request, rows=added(row, actor))


async def _refuse_unknown(ports: Ports, new: NewAccount, origin: Origin) -> None:
    named = [(PERSON_OF[role], getattr(new, field)) for role, field in ID_OF.items()]
    for kind, person_id in [*named, ("Organization", new.organization_id)]:
        if person_id is None:
            continue
        request = FhirRequest(Interaction.READ, kind, person_id, request_id=origin.request_id, address=origin.address)
        try:
            await dispatch(ports, ENGINE, request)
        except NotFound:
            raise BadRequest(f"{kind}/{person_id} is not there; make it first, or send it as person.") from None
