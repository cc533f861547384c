"""Writing to HAPI: one put or delete as such, several as one transaction; https://hl7.org/fhir/R4/http.html#transaction.

HAPI reads `If-Match` in its own way: an id that does not exist is created whatever it says, a stale version is a 409,
and a delete does not look at it. So an expected version is looked up first (and sent with a put, which makes it
atomic), while `Absent` is sent as version 0: nothing has it, and only what is not there is written. Alone it also goes
without HAPI's look whether the id is taken, which is a tenth of a create; a taken one is a 409 all the same.
A delete with an expected version stays racy between look-up and delete; callers hold a lock.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from fhir_facade.adapters.hapi.content import (
    Entry,
    bundle,
    outcome_code,
    storage_code,
    stored,
    tombstone,
    version_in,
    written_by,
)
from fhir_facade.adapters.hapi.read import current, currents, deletion, path_of
from fhir_facade.adapters.hapi.refusals import refuse_for_good, refuse_going, refuse_own_address, refuse_versions
from fhir_facade.adapters.hapi.sentences import dangling
from fhir_facade.adapters.hapi.session import Answer, HapiSession
from fhir_facade.errors import (
    Conflict,
    DanglingReference,
    InvalidResource,
    PreconditionFailed,
    UpstreamError,
)
from fhir_facade.fhir.document import members_of, without_stamps
from fhir_facade.values import Absent, Change, ExpectVersion, Ref, StoredResource, Write

MAX_ATTEMPTS = 8
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5

DANGLING = ("HAPI-1094", "HAPI-1096")  # a reference to what is not there, or no longer
_MOMENT = b'"lastUpdated"'
NOTHING = "0"  # the version that no resource has

# without it HAPI adds the tags and labels of the earlier version to the new one
SNAPSHOT = {"X-Meta-Snapshot-Mode": "TAG,PROFILE,SECURITY_LABEL"}
FRESH = {"X-Upsert-Extistence-Check": "disabled"}  # spelled so
REPRESENTATION = {"Prefer": "return=representation"}

NOT_DELETED = frozenset(("SUCCESSFUL_DELETE_ALREADY_DELETED", "SUCCESSFUL_DELETE_NOT_FOUND"))

Versions = Mapping[Ref, str]


async def write(session: HapiSession, writes: Sequence[Write], *, whole: bool = True) -> list[StoredResource]:
    """All or nothing. Racing writers are tried again with a pause by chance; Conflict when that does not help.
    `whole`: references to what goes in the same transaction are refused."""
    if not writes:
        return []
    refuse_own_address(session.base, writes)
    refuse_versions(writes)
    if whole:
        refuse_going(writes)
    for attempt in range(MAX_ATTEMPTS):
        answer = await _attempt(session, writes, await _versions(session, writes, look=attempt > 0))
        if answer.status != 409:
            return await _results(session, writes, _accepted(answer, writes))
        refuse_for_good(answer, writes)
        await asyncio.sleep(random.uniform(0, min(FIRST_PAUSE_S * 2**attempt, LONGEST_PAUSE_S)))  # noqa: S311 - jitter
    raise Conflict(f"Other writers kept changing {writes[0].ref}; try again later")


async def _versions(session: HapiSession, writes: Sequence[Write], *, look: bool) -> Versions:
    """What each conditional write has to meet, as versions for `If-Match`.

    `look`: a write was refused, so what should be absent is looked up too: it is there, or was deleted.
    """
    watched = [write for write in writes if write.precondition and (look or _must_look(write))]
    found = await currents(session, [write.ref for write in watched])
    expected = {write.ref: NOTHING for write in writes if isinstance(write.precondition, Absent)}
    return expected | {write.ref: _met(write, now) for write, now in zip(watched, found, strict=True)}


def _must_look(write: Write) -> bool:
    return isinstance(write.precondition, ExpectVersion) or write.kind == "delete"


def _met(write: Write, now: StoredResource | None) -> str:
    """The version that the condition allows to be replaced."""
    live = now is not None and not now.deleted
    if isinstance(write.precondition, Absent):
        if live:
            raise Conflict(f"{write.ref} exists already")
        return now.version if now else NOTHING
    if now is None or now.deleted:
        raise PreconditionFailed(f"{write.ref} does not exist, so it has no version to match")
    expected = write.precondition.version if write.precondition else now.version
    if now.version != expected:
        raise PreconditionFailed(f"{write.ref} is at version {now.version}, not {expected}; read it again")
    return expected


async def _attempt(session: HapiSession, writes: Sequence[Write], versions: Versions) -> Answer:
    if _is_together(writes):
        return await session.send("POST", "", _transaction(writes, versions), headers=SNAPSHOT | REPRESENTATION)
    write = writes[0]
    if write.kind == "delete":
        return await session.send("DELETE", path_of(write.ref))
    return await session.send(
        "PUT", path_of(write.ref), _identified(write), headers=_conditions(versions.get(write.ref))
    )


def _is_together(writes: Sequence[Write]) -> bool:
    """Whether it takes a transaction: only there a new resource may refer to itself."""
    return len(writes) > 1 or str(writes[0].ref).encode() in writes[0].body


def _conditions(version: str | None) -> dict[str, str]:
    if version is None:
        return SNAPSHOT
    match = {"If-Match": f'W/"{version}"'}
    return FRESH | match if version == NOTHING else SNAPSHOT | match


def _transaction(writes: Sequence[Write], versions: Versions) -> bytes:
    """Sorted by id, so that two transactions on the same resources never wait for each other."""
    entries = b",".join(_entry(write, versions.get(write.ref)) for write in _in_order(writes))
    return b'{"resourceType":"Bundle","type":"transaction","entry":[' + entries + b"]}"


def _in_order(writes: Sequence[Write]) -> list[Write]:
    return sorted(writes, key=lambda write: (write.ref.type, write.ref.id))


def _entry(write: Write, version: str | None) -> bytes:
    request = {"method": "DELETE" if write.kind == "delete" else "PUT", "url": str(write.ref)}
    if version is not None:
        request["ifMatch"] = f'W/"{version}"'
    asked = b'"request":' + msgspec.json.encode(request) + b"}"
    return b"{" + asked if write.kind == "delete" else b'{"resource":' + _identified(write) + b"," + asked


def _identified(write: Write) -> bytes:
    """The body as it came, with the id of its address and without the stamps of another version: HAPI tells its own
    moment in the zone, and with the precision, of the one that is sent."""
    members = members_of(write.body)
    named, meta = msgspec.json.encode(write.ref.id), members.get("meta", msgspec.Raw(b"{}"))
    if bytes(members.get("id", b"")) == named and _MOMENT not in bytes(meta):
        return write.body
    kept = {name: value for name, value in members.items() if name != "meta"}
    if own := without_stamps(meta):
        kept["meta"] = msgspec.Raw(msgspec.json.encode(own))
    return msgspec.json.encode({"resourceType": kept.pop("resourceType"), **kept, "id": msgspec.Raw(named)})


def _accepted(answer: Answer, writes: Sequence[Write]) -> Answer:
    if answer.status in (200, 201):
        return answer
    if any(code in answer.diagnostics for code in DANGLING):
        raise DanglingReference(dangling(answer.diagnostics, writes))
    if answer.status == 400:  # our request is sound, so it is what the resource says, a reference above all
        raise InvalidResource(str(answer.refusal("a write")))
    raise answer.refusal("a write")


async def _results(session: HapiSession, writes: Sequence[Write], answer: Answer) -> list[StoredResource]:
    if not _is_together(writes):
        return [await _result(session, writes[0], answer)]
    entries = bundle(answer.body).entry
    if len(entries) != len(writes):
        raise UpstreamError("HAPI answered a transaction with another number of entries")
    found = await asyncio.gather(
        *(
            _entry_result(session, write, entry, answer.request_id)
            for write, entry in zip(_in_order(writes), entries, strict=True)
        )
    )
    by_ref = {result.ref: result for result in found}
    return [by_ref[write.ref] for write in writes]


async def _result(session: HapiSession, write: Write, answer: Answer) -> StoredResource:
    if write.kind == "delete":
        return await _deleted(session, write.ref, storage_code(answer.body), version_in(answer.location))
    return _put(answer.body, answer.request_id, created=answer.status == 201)


def _put(body: bytes, request: str, *, created: bool) -> StoredResource:
    updated: Change = "updated" if written_by(body, request) else "unchanged"
    return stored(body, change="created" if created else updated)


async def _entry_result(session: HapiSession, write: Write, entry: Entry, request: str) -> StoredResource:
    if entry.response is None:
        raise UpstreamError("HAPI answered a transaction with an entry that says nothing")
    if write.kind == "put":
        return _put(bytes(entry.resource), request, created=entry.response.status.startswith("201"))
    return await _deleted(session, write.ref, outcome_code(entry.response.outcome), version_in(entry.response.location))


async def _deleted(session: HapiSession, ref: Ref, code: str, version: str) -> StoredResource:
    """HAPI tells the time of a deletion only when it is read, and a version also of one that happened before."""
    if version:
        change: Change = "unchanged" if code in NOT_DELETED else "deleted"
        return _as(await deletion(session, Ref(ref.type, ref.id, version)), change)
    gone = await current(session, ref)
    if gone is None:
        return tombstone(ref.type, ref.id, NOTHING, datetime.now(UTC), change="unchanged")
    return _as(gone, "unchanged")


def _as(deleted: StoredResource, change: Change) -> StoredResource:
    return tombstone(deleted.type, deleted.id, deleted.version, deleted.last_updated, change=change)
