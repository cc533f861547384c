"""`$meta`, `$meta-add`, `$meta-delete`: profiles, tags and security labels.

https://hl7.org/fhir/R4/resource-operation-meta.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from fhir_facade.access.check import Deny
from fhir_facade.errors import BadRequest, NotSupported
from fhir_facade.fhir.definitions import resource_types
from fhir_facade.fhir.document import decimal_dumps, decimal_loads, parse_stored, splice
from fhir_facade.fhir.operations import Inputs
from fhir_facade.interactions.attempts import attempted
from fhir_facade.interactions.audit import audit_lines, patients_of_stored, record_lines
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.operations.matches import matches
from fhir_facade.interactions.read import changeable, visible
from fhir_facade.interactions.record import Draft, draft_resource, record
from fhir_facade.values import (
    ExpectVersion,
    FhirRequest,
    FhirResponse,
    Interaction,
    JsonObject,
    SearchQuery,
    StoredResource,
)

MOST: Final = 100_000
"""How many resources are looked through for the tags of a type or of the whole server."""
_SETS: Final = ("profile", "security", "tag")

Items = list[Any]
Change = Callable[[Items, Items], Items]


async def meta(call: Call, inputs: Inputs) -> FhirResponse:
    """The meta of a resource, or of one version of it; of a type or of the whole server the profiles, labels and tags
    in use there, as far as the caller sees the resources that have them."""
    if call.request.version is not None:
        return await _of_version(call)
    if call.request.id is None:
        found, patients = await _in_use(call)
    else:
        stored = await visible(call, call.ref)
        found, patients = decimal_loads(stored.body)["meta"], {*patients_of_stored((stored,))}
    await record_lines(call.ports, audit_lines(call.ports, call.principal, call.request, patients))
    return FhirResponse(200, _answer(found))


async def _of_version(call: Call) -> FhirResponse:
    """As much as reading the version tells, to whoever may read it."""
    from fhir_facade.interactions.dispatch import dispatch

    plain = FhirRequest(Interaction.VREAD, call.type, call.request.id, call.request.version)
    request = msgspec.structs.replace(plain, request_id=call.request.request_id, address=call.request.address)
    read = await dispatch(call.ports, call.principal, request)
    return FhirResponse(200, _answer(decimal_loads(read.body)["meta"]))


async def meta_add(call: Call, inputs: Inputs) -> FhirResponse:
    """The new meta. What is there already is not added again; the change is a version like any other."""
    return await _changed(call, inputs, _added)


async def meta_delete(call: Call, inputs: Inputs) -> FhirResponse:
    """The new meta. What is not there needs no deleting."""
    return await _changed(call, inputs, _without)


def _answer(found: Mapping[str, Any]) -> bytes:
    value = {"valueMeta": found} if found else {}
    returned = [{"name": "return", **value}] if value else []
    return decimal_dumps({"resourceType": "Parameters"} | ({"parameter": returned} if returned else {}))


# --- what is in use ---------------------------------------------------------------------------------------------------


async def _in_use(call: Call) -> tuple[dict[str, Any], set[str]]:
    """Each profile, label and tag once, in the order in which they were met; and the patients whose records have them,
    where the caller sees the records of some: of all it tells of nobody."""
    found: dict[str, Items] = {name: [] for name in _SETS}
    looked, patients = 0, set[str]()
    for kind in _searched(call) if call.request.type is None else (call.type,):
        async for stored in matches(call, SearchQuery(kind)):
            own = parse_stored(stored.body).get("meta", {})
            looked += 1
            if looked > MOST:
                raise NotSupported(f"there are more than {MOST} resources to look through: ask for $meta of one type")
            for name, items in found.items():
                items[:] = _added(items, own.get(name, []))
            if not call.sees_all and not own.keys().isdisjoint(_SETS):
                patients |= patients_of_stored((stored,))
    return {name: items for name, items in found.items() if items}, patients


def _searched(call: Call) -> Iterator[str]:
    """All types that are stored and searched here; what was audited is no part of the records."""
    for kind in resource_types():
        if kind != "AuditEvent" and not isinstance(call.search_rights(kind), Deny):
            yield kind


# --- changes ----------------------------------------------------------------------------------------------------------


async def meta_added(call: Call, inputs: Inputs) -> Draft:
    """What `$meta-add` writes."""
    return await _draft(call, inputs, _added)


async def meta_deleted(call: Call, inputs: Inputs) -> Draft:
    """What `$meta-delete` writes."""
    return await _draft(call, inputs, _without)


def changed_meta(call: Call, stored: StoredResource) -> FhirResponse:
    """The meta of the new version, as far as the caller may read it."""
    return FhirResponse(200, _answer(decimal_loads(stored.body)["meta"] if call.may_read(stored) else {}))


async def _changed(call: Call, inputs: Inputs, change: Change) -> FhirResponse:
    """Written on exactly the version it was computed from; repeated when somebody was faster."""

    async def change_once() -> FhirResponse:
        (stored,) = await record(call, [await _draft(call, inputs, change)])
        return changed_meta(call, stored)

    return await attempted(call, change_once)


async def _draft(call: Call, inputs: Inputs, change: Change) -> Draft:
    given = inputs.object("meta") or {}
    unknown = sorted(set(given) - set(_SETS))
    if unknown:
        raise BadRequest(f"only profile, security and tag can be changed, not {', '.join(unknown)}", expression="meta")
    current = await changeable(call, call.ref)
    before = parse_stored(current.body)
    changes = {name: change(list(before["meta"].get(name, ())), given.get(name, [])) or None for name in _SETS}
    moved = splice(
        current.body, id=current.id, version=current.version, last_updated=current.last_updated, meta_changes=changes
    )
    body, resource = draft_resource(call, moved, call.type)
    expected = ExpectVersion(call.request.if_match or current.version)
    return Draft("put", call.ref, call.request, call.allow, body, resource, before, expected)


def _added(items: Items, given: Items) -> Items:
    for item in given:
        if not any(_same(item, one) for one in items):
            items.append(item)
    return items


def _without(items: Items, given: Items) -> Items:
    return [item for item in items if not any(_same(item, one) for one in given)]


def _same(item: Any, other: Any) -> bool:
    """Profiles are URLs; codings are the same by system and code, whatever their display."""
    if isinstance(item, str) or isinstance(other, str):
        return bool(item == other)
    return _code_of(item) == _code_of(other)


def _code_of(coding: JsonObject) -> tuple[Any, Any]:
    return coding.get("system"), coding.get("code")
