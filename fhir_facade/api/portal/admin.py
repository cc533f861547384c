"""What the pages of administrators share: who may see them. Administrators keep accounts and apps, never charts.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x17-V8-Authorization.md
"""

from __future__ import annotations

from fhir_facade.api.portal.visit import Visit
from fhir_facade.errors import Forbidden
from fhir_facade.ports import Ports


def administrated(visit: Visit) -> Ports:
    """The ports, for administrators. Forbidden for everybody else."""
    if visit.principal.kind != "admin":
        raise Forbidden("Accounts and apps are kept by administrators.")
    return visit.ports


def actor(visit: Visit) -> str:
    """Who did it, as the audit says it."""
    return visit.signed_in.account.username
