"""Notices about an account that reach its owner outside the portal: a row in the transaction of what happened, an
e-mail soon after, tried again until it is taken or too late.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md (6.3.5, 6.3.7)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec
from msgspec.structs import replace

from fhir_facade.errors import BadRequest, FacadeError, MailRefused
from fhir_facade.ports import Mail, Mailer, Ports, StateTransaction
from fhir_facade.rows import Append
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.mail import DueMail
from fhir_facade.rules.observations import zone_of

LEASE: Final = timedelta(minutes=5)
AT_ONCE: Final = 20
PAUSES: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360, 720))
"""Between attempts; after the last one, most of a day later, it is given up."""
LONGEST_ADDRESS: Final = 254
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
"""What browsers take for an e-mail address. https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address"""


class Words(msgspec.Struct, frozen=True):
    """What is said in one language, by kind."""

    frame: str
    subjects: dict[str, str]
    whats: dict[str, str]
    thens: dict[str, str]


def notices(ports: Ports, account: Account, kind: str) -> tuple[Append, ...]:
    """The row to write with what happened; none where no mail is sent, or the person gave no address."""
    if ports.mailer is None or account.email is None or account.disabled:
        return ()
    now = ports.clock.now()
    row = DueMail(
        id=ports.ids.new(),
        account_id=account.id,
        kind=kind,
        address=account.email,
        language=account.language,
        zone=account.zone,
        happened_at=now,
        due_at=now,
    )
    return (Append(row),)


def check_address(text: str) -> None:
    """BadRequest unless it can be an e-mail address."""
    if len(text) > LONGEST_ADDRESS or not _ADDRESS.fullmatch(text):
        raise BadRequest("An e-mail address is like name@example.org.")


async def deliver_due(ports: Ports) -> int:
    """Deliver what is due and in nobody's hands; how many messages were tried. A message may be sent twice when a
    process dies at the wrong moment: it then has the same Message-ID."""
    due = ("due_at", "<=", ports.clock.now())
    if ports.mailer is None or not await ports.state.read(lambda tx: tx.count(DueMail, due)):
        return 0
    leased = await ports.state.write(lambda tx: _lease(tx, ports.clock.now()))
    for row in leased:
        await _deliver(ports, ports.mailer, row)
    return len(leased)


def written(row: DueMail, service: str, now: datetime) -> Mail:
    """The message, in the language of the account, its time by the account's clock."""
    words = _languages().get(row.language) or _languages()["en"]
    when = f"{row.happened_at.astimezone(zone_of(row.zone)):%Y-%m-%d %H:%M} ({row.zone})"
    what, then = words.whats[row.kind], words.thens[row.kind]
    text = words.frame.format(what=what, when=when, then=then, address=service + _paths()[row.kind], service=service)
    return Mail(row.id, row.address, words.subjects[row.kind], text, row.language, now)


def _lease(tx: StateTransaction, now: datetime) -> list[DueMail]:
    """Messages that belong to this process until the lease ends."""
    due = tx.find(DueMail, ("due_at", "<=", now), order=("due_at",), limit=AT_ONCE)
    leased: list[DueMail] = []
    for row in due:
        if row.leased_until is None or row.leased_until <= now:
            same = [("id", "=", row.id), ("leased_until", "=", row.leased_until)]
            leased += tx.change(DueMail, same, leased_until=now + LEASE)
    return leased


async def _deliver(ports: Ports, mailer: Mailer, row: DueMail) -> None:
    service = ports.deployment.fhir_url.removesuffix("/fhir")
    try:
        await mailer.send(written(row, service, ports.clock.now()))
    except MailRefused as error:
        await _end(ports, row, "failed", str(error))
    except FacadeError as error:
        await _later(ports, row, str(error))
    else:
        await _end(ports, row, "success", row.kind)


async def _later(ports: Ports, row: DueMail, why: str) -> None:
    if row.attempts >= len(PAUSES):
        await _end(ports, row, "failed", f"given up after {row.attempts + 1} attempts: {why}")
        return
    due = ports.clock.now() + PAUSES[row.attempts]
    values = {"attempts": row.attempts + 1, "due_at": due, "leased_until": None}
    await ports.state.write(lambda tx: tx.change(DueMail, [("id", "=", row.id)], **values))


async def _end(ports: Ports, row: DueMail, outcome: str, detail: str) -> None:
    """The row goes, the audit says how it ended and, of a patient's account, whom it was about; nothing is said of one
    that was erased meanwhile."""
    now = ports.clock.now()
    line = AuditLine(at=now, action="notify", outcome=outcome, actor="mail", user=row.account_id, detail=detail)

    def end(tx: StateTransaction) -> None:
        if tx.take(DueMail, [row.id]):
            account = tx.get(Account, row.account_id)
            tx.apply(Append(line if account is None else replace(line, patient=account.patient_id)))

    await ports.state.write(end)


@cache
def _document() -> Mapping[str, object]:
    found: Mapping[str, object] = msgspec.toml.decode((files(__package__) / "mail.toml").read_bytes())
    return found


@cache
def _paths() -> Mapping[str, str]:
    return msgspec.convert(_document()["paths"], dict[str, str])


@cache
def _languages() -> Mapping[str, Words]:
    return {name: msgspec.convert(words, Words) for name, words in _document().items() if name != "paths"}
