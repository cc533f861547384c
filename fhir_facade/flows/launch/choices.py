"""Whose records a person can take into an app: the own one, or one of those the person may open.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#standalone-apps
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fhir_facade.access.scopes import ScopeSet, intersect
from fhir_facade.flows.launch.sign_in import SignIn
from fhir_facade.rows.accounts import Account

Choice = tuple[str, str]
"""Patient id and the name to show."""

CHOOSERS: Final = frozenset({"proxy", "practitioner", "staff"})
STAYING: Final = frozenset({"offline_access", "online_access"})


async def choices(sign_in: SignIn, account: Account) -> Sequence[Choice]:
    """The patients of this person, in the order to show them; for patients the one that they are."""
    if account.role == "patient":
        return [] if account.patient_id is None else [(account.patient_id, account.username)]
    return await sign_in.patients_of(account) if account.role in CHOOSERS else []


def chosen(account: Account, known: Sequence[Choice], patient: str | None, picked_by: str | None) -> Choice | None:
    """A patient's own record, or what this very person picked, as long as it is still one of the choices."""
    if account.role == "patient":
        return known[0] if known else None
    if picked_by != account.id:
        return None
    return next((choice for choice in known if choice[0] == patient), None)


def wants_patient(scopes: ScopeSet) -> bool:
    """Whether a patient must be in context: asked for by name, or implied by patient/ scopes."""
    return "launch/patient" in scopes.launch or any(scope.context == "patient" for scope in scopes.fhir)


def kept(asked: ScopeSet, ticked: ScopeSet) -> ScopeSet:
    """What stays of `asked` after the person unticked some of it, or allowed only a part of some kind of data.

    Launch and identity scopes go along, except those of staying connected, which can be unticked.
    """
    met = intersect(ticked, asked)
    optional = STAYING & asked.launch
    return ScopeSet(met.fhir, (asked.launch - optional) | (optional & ticked.launch), met.v1)
