"""People as pages show them: the patients somebody may open, with a name to recognise them by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal

import msgspec

from fhir_facade.flows.admission import UNKNOWN, Origin
from fhir_facade.flows.launch.verify import principal_of_account
from fhir_facade.interactions.circle import circle
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports
from fhir_facade.rows.accounts import Account
from fhir_facade.values import FhirRequest, Interaction, JsonObject, Principal, Scope

AT_ONCE = 200
_READS_PATIENTS = (Scope("user", "Patient", frozenset("rs")),)
_NAMED = ("Practitioner", "RelatedPerson", "Organization")


async def patients_of(ports: Ports, account: Account) -> list[tuple[str, str]]:
    """(id, display) of the patients whose records this person may open, by name: those in care of a practitioner, those
    a proxy acts for, those of an institution. Read through the door, so it is audited."""
    principal = replace(principal_of_account(account), scopes=_READS_PATIENTS, name="patient-picker")
    ids = sorted(await circle(ports, principal))
    found: list[tuple[str, str]] = []
    for start in range(0, len(ids), AT_ONCE):
        chunk = ",".join(ids[start : start + AT_ONCE])
        request = FhirRequest(Interaction.SEARCH_TYPE, "Patient", params=(("_id", chunk), ("_count", str(AT_ONCE))))
        response = await dispatch(ports, principal, request)
        found += [(p["id"], display_name(p)) for p in _resources(response.body)]
    return sorted(found, key=lambda entry: entry[1].casefold())


async def staff_names(
    ports: Ports, principal: Principal, references: Iterable[str | None], origin: Origin = UNKNOWN
) -> Mapping[str, str]:
    """The names behind references such as `Practitioner/1`, found with one search; what is not there is left out."""
    return await _names(ports, principal, "Practitioner", references, origin)


async def names_of(
    ports: Ports, principal: Principal, references: Iterable[str], origin: Origin = UNKNOWN
) -> Mapping[str, str]:
    """The names behind references to whoever can act here. What a token may read makes no difference: who may know of
    somebody's deed may know the name."""
    context: Literal["patient", "user"] = "user" if principal.patient is None else "patient"
    scopes = tuple(Scope(context, kind, frozenset("rs")) for kind in _NAMED)
    knowing = replace(principal, scopes=scopes)
    found = [await _names(ports, knowing, kind, references, origin) for kind in _NAMED]
    return {reference: name for names in found for reference, name in names.items()}


async def _names(
    ports: Ports, principal: Principal, kind: str, references: Iterable[str | None], origin: Origin
) -> Mapping[str, str]:
    ids = sorted({text.removeprefix(f"{kind}/") for text in references if text and text.startswith(f"{kind}/")})
    if not ids:
        return {}
    params = (("_id", ",".join(ids[:AT_ONCE])), ("_count", str(AT_ONCE)))
    request = FhirRequest(
        Interaction.SEARCH_TYPE,
        kind,
        params=params,
        request_id=origin.request_id,
        address=origin.address,
    )
    response = await dispatch(ports, principal, request)
    return {f"{kind}/{each['id']}": display_name(each) for each in _resources(response.body)}


def _resources(bundle: bytes) -> Iterable[JsonObject]:
    return (entry["resource"] for entry in msgspec.json.decode(bundle).get("entry", ()))


def display_name(person: JsonObject) -> str:
    """The first name of a person as text, of an institution its only one; the id when there is none. A part of a name
    may be null, with the reason beside it."""
    names = person.get("name", ())
    if isinstance(names, str):
        return names
    for name in names:
        text = name.get("text") or " ".join(filter(None, [*name.get("given", ()), name.get("family")])).strip()
        if text:
            return str(text)
    return str(person["id"])
