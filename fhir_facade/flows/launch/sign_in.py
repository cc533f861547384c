"""Everything the stories of signing in lean on, built once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from fhir_facade.flows.launch.client_keys import KeySets
from fhir_facade.flows.launch.flood import Flood
from fhir_facade.flows.launch.issuer import Issuer
from fhir_facade.ports import Ports
from fhir_facade.rows.accounts import Account

PatientsOf = Callable[[Account], Awaitable[Sequence[tuple[str, str]]]]
"""The (id, display) of the patients whose records this person may open, in the order to show them."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """`patients_of` decides whom a clinician or proxy can pick; `key_sets` fetches the keys of clients."""

    ports: Ports
    issuer: Issuer
    key_sets: KeySets
    patients_of: PatientsOf
    flood: Flood = field(default_factory=Flood)


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request came from, for the audit record and the slowing down of guesses."""

    address: str | None = None
    request_id: str = ""
