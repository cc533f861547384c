"""Subscriptions are kept as records, and nothing is ever sent for one: one that asks for it is refused.

https://hl7.org/fhir/R4/subscription.html says that a server accepts what is requested, or says that it does not.
"""

from __future__ import annotations

from typing import Final

from fhir_facade.errors import Issue
from fhir_facade.values import JsonObject

SENDING: Final = frozenset(("requested", "active"))
NOTHING_IS_SENT: Final = (
    "no subscription is sent from here: to keep this one as a record, give it the status off; "
    "GET /api/v1/alerts/stream tells of alerts as they happen"
)


def unsent(resource: JsonObject) -> list[Issue]:
    """An error for a Subscription that would have whoever wrote it wait for what never comes; else nothing."""
    if resource["resourceType"] != "Subscription" or resource.get("status") not in SENDING:
        return []
    return [Issue("not-supported", NOTHING_IS_SENT, "Subscription.status")]
