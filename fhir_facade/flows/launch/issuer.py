"""What this authorization server is: its addresses, its lifetimes, what it offers. One source for every document.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from fhir_facade.values import Json

ACCESS_LIFETIME: Final = timedelta(minutes=10)
BACKEND_LIFETIME: Final = timedelta(seconds=300)
CODE_LIFETIME: Final = timedelta(seconds=60)
PENDING_LIFETIME: Final = timedelta(minutes=15)
LAUNCH_LIFETIME: Final = timedelta(minutes=5)
REFRESH_IDLE: Final = timedelta(days=30)
SESSION_IDLE: Final = timedelta(hours=1)
GRANT_LIFETIME: Final = timedelta(days=90)
ASSERTION_LIFETIME: Final = timedelta(minutes=5)
CLOCK_SKEW: Final = timedelta(seconds=10)

TENANT: Final = "default"
"""What launches within an EHR call the organization: one deployment is one tenant."""

OFFERED_NAMED: Final = ("launch", "launch/patient", "openid", "fhirUser", "profile", "offline_access", "online_access")
"""Scopes beside FHIR data that work here; others are left out of what is granted."""

SCOPES_SUPPORTED: Final = (
    *OFFERED_NAMED,
    "patient/*.cruds",
    "patient/*.rs",
    "patient/*.read",
    "user/*.cruds",
    "user/*.rs",
    "user/*.read",
    "system/*.cruds",
    "system/*.rs",
    "system/*.read",
)
CAPABILITIES: Final = (
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
)
ASSERTION_ALGORITHMS: Final = ("RS384", "ES384")
GRANT_TYPES: Final = ("authorization_code", "refresh_token", "client_credentials")
AUTH_METHODS: Final = ("none", "client_secret_basic", "client_secret_post", "private_key_jwt")


@dataclass(frozen=True, slots=True)
class Issuer:
    """All addresses follow from the public base URL (no trailing slash); never from a request's headers."""

    base: str

    @property
    def fhir(self) -> str:
        return f"{self.base}/fhir"

    @property
    def name(self) -> str:
        """The issuer of id_tokens and redirects: the FHIR base, which SMART apps call `iss` too."""
        return self.fhir

    @property
    def authorize(self) -> str:
        return f"{self.base}/oauth/authorize"

    @property
    def token(self) -> str:
        return f"{self.base}/oauth/token"

    @property
    def introspect(self) -> str:
        return f"{self.base}/oauth/introspect"

    @property
    def revoke(self) -> str:
        return f"{self.base}/oauth/revoke"

    @property
    def jwks(self) -> str:
        return f"{self.base}/oauth/jwks"

    @property
    def userinfo(self) -> str:
        return f"{self.base}/oauth/userinfo"

    @property
    def logout(self) -> str:
        return f"{self.base}/oauth/logout"

    @property
    def register(self) -> str:
        return f"{self.base}/oauth/register"

    @property
    def manage(self) -> str:
        """The page where people see and withdraw what they allowed."""
        return f"{self.base}/apps"

    @property
    def style(self) -> str:
        """https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#styling"""
        return f"{self.base}/oauth/style"

    def accepts_audience(self, audience: str) -> bool:
        """Whether `aud` names our FHIR base; one trailing slash is tolerated, nothing else."""
        return audience.removesuffix("/") == self.fhir


def smart_configuration(issuer: Issuer) -> Mapping[str, Json]:
    """The document at `/fhir/.well-known/smart-configuration`."""
    return _metadata(issuer) | {"capabilities": list(CAPABILITIES)}


def openid_configuration(issuer: Issuer) -> Mapping[str, Json]:
    """The document at `/fhir/.well-known/openid-configuration`. https://openid.net/specs/openid-connect-discovery-1_0.html"""
    return _metadata(issuer) | {
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": [
            *("iss", "sub", "aud", "exp", "iat", "auth_time", "amr", "nonce", "at_hash", "fhirUser"),
            *("preferred_username", "zoneinfo"),
        ],
        "userinfo_endpoint": issuer.userinfo,
        "end_session_endpoint": issuer.logout,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


def _metadata(issuer: Issuer) -> dict[str, Json]:
    return {
        "issuer": issuer.name,
        "jwks_uri": issuer.jwks,
        "authorization_endpoint": issuer.authorize,
        "token_endpoint": issuer.token,
        "introspection_endpoint": issuer.introspect,
        "revocation_endpoint": issuer.revoke,
        "registration_endpoint": issuer.register,
        "management_endpoint": issuer.manage,
        "grant_types_supported": list(GRANT_TYPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "scopes_supported": list(SCOPES_SUPPORTED),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "authorization_response_iss_parameter_supported": True,
    }
