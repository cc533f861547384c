"""Guesses of client secrets are slowed down, for each client and address: somebody else's guesses lock no app out.

https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fhir_facade.flows.launch.opaque import digest
from fhir_facade.flows.launch.request import Basic, Bearer
from fhir_facade.flows.launch.server import NO_STORE, Answer
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.flows.slowing import Slowdown, counted
from fhir_facade.interactions.audit_refusals import source_of
from fhir_facade.ports import StateTransaction
from fhir_facade.rows import Put, Remove
from fhir_facade.rows.accounts import LoginThrottle
from fhir_facade.rows.oauth import Client

PER_CLIENT: Final = Slowdown(free=10)


@dataclass(frozen=True, slots=True)
class Guess:
    """A request with a client secret: which app it names, and under what name it is counted."""

    client: str
    subject: str


def guess(parameters: Mapping[str, str], header: Basic | Bearer | None, caller: Caller) -> Guess | None:
    """None for a request without a client secret."""
    named = header.client_id if isinstance(header, Basic) else parameters.get("client_id", "")
    if not isinstance(header, Basic) and "client_secret" not in parameters:
        return None
    return Guess(named, f"client:{digest(f'{named}|{source_of(caller.address)}')}")


def too_early(tx: StateTransaction, guessed: Guess, now: datetime) -> Answer | None:
    """The answer to a guess that comes before its time: the secret is not even looked at."""
    row = tx.get(LoginThrottle, guessed.subject)
    if row is None or row.blocked_until <= now:
        return None
    seconds = int((row.blocked_until - now).total_seconds()) + 1
    body = {"error": "temporarily_unavailable", "error_description": f"Too many attempts: wait {seconds} seconds."}
    return Answer(429, body, (*NO_STORE, ("Retry-After", str(seconds))))


def judge(tx: StateTransaction, guessed: Guess, answer: Answer, now: datetime) -> None:
    """Count a wrong secret; a right one clears the count. Of an app that is not registered there is none to guess, and
    a row for every name that somebody makes up would fill the disk."""
    subject = guessed.subject
    if answer.body.get("error") == "invalid_client" and tx.get(Client, guessed.client) is not None:
        tx.apply(Put(counted(subject, PER_CLIENT, tx.get(LoginThrottle, subject), now)))
    elif answer.status == 200 and tx.get(LoginThrottle, subject) is not None:
        tx.apply(Remove(LoginThrottle, (subject,)))
