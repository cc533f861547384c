"""Refusals of people whom nobody knows: the first of a kind is a line, those that follow are counted for a while.

So nobody fills a disk by asking for what is refused. The count is a row, durable before the answer leaves and the same
for all processes; a line tells it when the while is over. docs/audit.md
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Final

import msgspec

from fhir_facade.errors import FacadeError, Unavailable
from fhir_facade.interactions.audit import UNRECORDED
from fhir_facade.ports import Ports, StateTransaction
from fhir_facade.rows import Append, Put, Remove
from fhir_facade.rows.audit import AuditLine, RefusalCount

WINDOW: Final = timedelta(minutes=10)
"""So long a refusal is counted before a line tells how often it came; the next one has a line in full again."""
MOST: Final = 500
"""So many kinds are counted at once; what is new then is counted without its address, account and app."""
HOUSEHOLD: Final = 64
"""Bits of an IPv6 address that name who it was given to: the others are anybody's to choose."""
AT_ONCE: Final = 200


async def record_refusal(ports: Ports, line: AuditLine) -> None:
    """Durable when this returns, as a line or as one more of those before. When it cannot be: Unavailable if the
    deployment demands the audit."""
    try:
        await ports.state.write_shared(_count_all, line, in_turn=True)
    except FacadeError as error:
        if ports.deployment.audit_required:
            raise Unavailable(UNRECORDED) from error


async def refuse_app(ports: Ports, action: str, detail: str, address: str | None, request_id: str) -> None:
    """The line of an app that did not say who it is."""
    line = AuditLine(
        at=ports.clock.now(),
        action=action,
        outcome="refused",
        actor="client",
        detail=detail,
        address=address,
        request_id=request_id,
    )
    await record_refusal(ports, line)


async def close_counts(ports: Ports) -> int:
    """Write the lines of the counts whose while is over; how many counts there were."""
    now, closed = ports.clock.now(), 0
    while some := await ports.state.write(lambda tx: _close(tx, now, ("since", "<=", now - WINDOW))):
        closed += some
    return closed


async def close_counts_of(ports: Ports, accounts: Sequence[str]) -> None:
    """Write the lines of what is counted for these accounts now."""
    now = ports.clock.now()
    while await ports.state.write(lambda tx: _close(tx, now, ("user", "in", accounts))):
        pass


def _count_all(tx: StateTransaction, lines: Sequence[AuditLine]) -> Sequence[None]:
    kinds: dict[str, list[AuditLine]] = {}
    for line in lines:
        kinds.setdefault(_kind(line), []).append(line)
    room = MOST - tx.count(RefusalCount) if any(tx.get(RefusalCount, key) is None for key in kinds) else MOST
    for key, alike in kinds.items():
        row = tx.get(RefusalCount, key)
        if row is None and room <= 0:
            alike = [_of_many(line) for line in alike]
            row = tx.get(RefusalCount, _kind(alike[0]))
        room -= row is None
        _count(tx, row, alike)
    return [None] * len(lines)


def _count(tx: StateTransaction, row: RefusalCount | None, alike: Sequence[AuditLine]) -> None:
    """The first has a line in full when none of its kind has one; the others are one more."""
    if row is not None and alike[0].at < row.since + WINDOW:
        tx.apply(Put(msgspec.structs.replace(row, more=row.more + len(alike), last=alike[-1].at)))
        return
    if row is not None and row.more:
        tx.apply(Append(_told(row, alike[0].at)))
    tx.apply(Append(alike[0]), Put(_begun(alike[0], alike[-1].at, len(alike) - 1)))


def _begun(line: AuditLine, last: datetime, more: int) -> RefusalCount:
    return RefusalCount(
        key=_kind(line),
        since=line.at,
        last=last,
        more=more,
        action=line.action,
        outcome=line.outcome,
        actor=line.actor,
        user=line.user,
        client=line.client,
        detail=line.detail,
        address=line.address,
    )


def _close(tx: StateTransaction, now: datetime, which: tuple[str, str, object]) -> int:
    rows = tx.find(RefusalCount, which, limit=AT_ONCE)
    tx.apply(*(Append(_told(row, now)) for row in rows if row.more))
    tx.apply(*(Remove(RefusalCount, (row.key,)) for row in rows))
    return len(rows)


def _told(row: RefusalCount, now: datetime) -> AuditLine:
    times = f"{row.more} more from {_moment(row.since)} to {_moment(row.last)}"
    return AuditLine(
        at=now,
        action=row.action,
        outcome=row.outcome,
        actor=row.actor,
        user=row.user,
        client=row.client,
        detail=f"{row.detail or row.action}: {times}",
        address=row.address,
    )


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _kind(line: AuditLine) -> str:
    """What is counted together. Nothing in it is a word of who asks, apart from where it came from."""
    kind = (source_of(line.address), line.action, line.outcome, line.actor, line.user, line.client, line.detail)
    return sha256(msgspec.json.encode(kind)).hexdigest()


def _of_many(line: AuditLine) -> AuditLine:
    return msgspec.structs.replace(line, address=None, user=None, client=None)


def source_of(address: str | None) -> str:
    """Whom an address was given to: the address, of IPv6 its first half."""
    try:
        known = ip_address(address or "")
    except ValueError:
        return address or ""
    return str(known) if isinstance(known, IPv4Address) else str(ip_network((known, HOUSEHOLD), strict=False))
