"""Guesses of client secrets are slowed down, for each client and address: somebody else's guesses lock no app out.

https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from fhir_facade.flows.launch.opaque import digest
from fhir_facade.flows.launch.request import Basic, Bearer
from fhir_facade.flows.launch.server import NO_STORE, Answer
from fhir_facade.flows.launch.sign_in import Caller
from fhir_facade.flows.sessions import Slowdown, counted
from fhir_facade.ports import StateTransaction
from fhir_facade.rows import Put, Remove
from fhir_facade.rows.accounts import LoginThrottle

PER_CLIENT: Final = Slowdown(free=10)


def guess(parameters: Mapping[str, str], header: Basic | Bearer | None, caller: Caller) -> str | None:
    """The name under which a request with a client secret is counted; None for a request without."""
    named = header.client_id if isinstance(header, Basic) else parameters.get("client_id", "")
    if not isinstance(header, Basic) and "client_secret" not in parameters:
        return None
    return f"client:{digest(f'{named}|{caller.address}')}"


def too_early(tx: StateTransaction, subject: str, now: datetime) -> Answer | None:
    """The answer to a guess that comes before its time: the secret is not even looked at."""
    row = tx.get(LoginThrottle, subject)
    if row is None or row.blocked_until <= now:
        return None
    seconds = int((row.blocked_until - now).total_seconds()) + 1
    body = {"error": "temporarily_unavailable", "error_description": f"Too many attempts: wait {seconds} seconds."}
    return Answer(429, body, (*NO_STORE, ("Retry-After", str(seconds))))


def judge(tx: StateTransaction, subject: str, answer: Answer, now: datetime) -> None:
    """Count a wrong secret; a right one clears the count."""
    if answer.body.get("error") == "invalid_client":
        tx.apply(Put(counted(subject, PER_CLIENT, tx.get(LoginThrottle, subject), now)))
    elif answer.status == 200 and tx.get(LoginThrottle, subject) is not None:
        tx.apply(Remove(LoginThrottle, (subject,)))
