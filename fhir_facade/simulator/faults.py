"""Faults that can be switched on, and the log of what was asked: what a test or a curious developer needs.

A fault is one JSON object of `POST /simulator/faults`; docs/vendor-simulator.md lists the kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import msgspec

from fhir_facade.simulator.data_types import DATA_TYPES
from fhir_facade.simulator.points import Edits
from fhir_facade.simulator.refusals import OAuthRefusal, Refusal, not_linked, scope_insufficient, throttled
from fhir_facade.simulator.refusals import unauthenticated as _unauthenticated

EVER = -1


PLACES = frozenset({"token", "revoke", "identity", "settings", "pairedDevices", "profile"}) | frozenset(DATA_TYPES)


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`times` answers are spoilt (-1: until reset). `where` is one of PLACES; None: every call of the Health API.
    `page` counts from 1. `retry_after` is sent as it is given."""

    kind: str
    times: int = 1
    where: str | None = None
    account: str | None = None
    page: int | None = None
    retry_after: int | str | None = None
    seconds: float = 0.0
    date: str | None = None
    factor: float = 1.0

    def hits(self, where: str, account: str, page: int) -> bool:
        place = self.where == where or (self.where is None and where not in {"token", "revoke"})
        return place and self.account in {None, account} and self.page in {None, page}


def fault_from(text: bytes | str) -> Fault:
    """The fault that a JSON object tells of. ValueError, with the member that is wrong."""
    try:
        return msgspec.json.decode(text, type=Fault)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error


REFUSALS: Mapping[str, Callable[[Fault], Exception]] = {
    "unauthorized": lambda _fault: _unauthenticated(),
    "missing-scope": lambda _fault: scope_insufficient(),
    "forbidden": lambda _fault: Refusal(
        403, "User is not authorized to access health data.", reason="USER_PROJECT_DENIED"
    ),
    "not-linked": lambda _fault: not_linked(),
    "gone": lambda _fault: Refusal(410, "This API version has been turned off."),
    "throttled": lambda fault: throttled(fault.retry_after),
    "server-error": lambda _fault: Refusal(500, "Internal error encountered."),
    "invalid-grant": lambda _fault: OAuthRefusal("invalid_grant", "Token has been expired or revoked."),
}
SPOILS = frozenset({"garbage", "empty", "slow", "truncated", "partial-page", "empty-page"})
EDITS = frozenset({"correct", "vanish"})
KINDS = frozenset(REFUSALS) | SPOILS | EDITS


@dataclass(slots=True)
class Faults:
    """The faults that are switched on, the edits made at the vendor, and the log."""

    active: list[Fault] = field(default_factory=list)
    factors: dict[tuple[str, str, date], float] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """Switch a fault on. ValueError for an unknown kind or place, an edit without account, type or date."""
        if fault.kind not in KINDS:
            raise ValueError(f"unknown kind '{fault.kind}'; known are {', '.join(sorted(KINDS))}")
        if fault.where not in PLACES | {None}:
            raise ValueError(f"unknown where '{fault.where}'; known are {', '.join(sorted(PLACES))}")
        if fault.kind not in EDITS:
            self.active.append(fault)
            return
        if not (fault.account and fault.where and fault.date):
            raise ValueError(f"'{fault.kind}' needs account, where (a data type) and date")
        factor = 0.0 if fault.kind == "vanish" else fault.factor
        self.factors[fault.account, fault.where, date.fromisoformat(fault.date)] = factor

    def reset(self) -> None:
        self.active.clear()
        self.factors.clear()

    def edits(self, account: str) -> Edits:
        return Edits({(what, on): factor for (whose, what, on), factor in self.factors.items() if whose == account})

    def take(self, where: str, account: str = "", page: int = 1) -> Fault | None:
        """The first fault that hits this call, used up once."""
        for index, fault in enumerate(self.active):
            if fault.hits(where, account, page):
                self._use(index, fault)
                return fault
        return None

    def _use(self, index: int, fault: Fault) -> None:
        if fault.times == EVER:
            return
        if fault.times > 1:
            self.active[index] = msgspec.structs.replace(fault, times=fault.times - 1)
        else:
            del self.active[index]
