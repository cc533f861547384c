"""The id_token: who signed in, as a signed statement. https://openid.net/specs/openid-connect-core-1_0.html#IDToken"""

from __future__ import annotations

from collections.abc import Mapping

from authlib.oidc.core.grants.code import OpenIDToken
from joserfc.jwk import RSAKey

from fhir_facade.flows.launch.issuer import ACCESS_LIFETIME
from fhir_facade.flows.launch.keys import Signer
from fhir_facade.flows.launch.registered import RegisteredClient
from fhir_facade.flows.launch.request import LaunchRequest
from fhir_facade.flows.launch.server import LaunchServer
from fhir_facade.rows.accounts import Account
from fhir_facade.rows.oauth import Grant
from fhir_facade.values import Json


class SmartIdentity(OpenIDToken):
    """RS256 with the key's `kid`, `nonce`, `auth_time`, `at_hash` and `fhirUser`; on refreshes too, without `nonce`."""

    def __init__(self, server: LaunchServer) -> None:
        self._server = server

    def resolve_client_private_key(self, client: RegisteredClient) -> RSAKey:
        return self._signer.key

    def get_encode_header(self, client: RegisteredClient) -> Mapping[str, str]:
        return {"alg": "RS256", "kid": self._signer.kid}

    def get_client_claims(self, client: RegisteredClient) -> Mapping[str, Json]:
        now = int(self._server.moment.now.timestamp())
        return {
            "iss": self._server.moment.issuer.base,
            "aud": client.row.id,
            "iat": now,
            "exp": now + int(ACCESS_LIFETIME.total_seconds()),
        }

    def get_compatible_claims(self, request: LaunchRequest) -> dict[str, Json]:
        """Without the core's habit of putting the present moment as `auth_time`."""
        grant: Grant = request.user
        claims = dict(self.get_client_claims(request.client))
        if grant.signed_in_at is not None:
            claims["auth_time"] = int(grant.signed_in_at.timestamp())
        return claims

    def generate_user_info(self, user: Grant, scope: str) -> Mapping[str, Json]:
        account = self._server.tx.get(Account, user.account_id)
        assert account is not None
        claims: dict[str, Json] = {"sub": account.id}
        reference = fhir_user(account)
        if "fhirUser" in scope.split() and reference is not None:
            claims["fhirUser"] = f"{self._server.moment.issuer.fhir}/{reference}"
        return claims

    @property
    def _signer(self) -> Signer:
        signer = self._server.moment.signer
        assert signer is not None
        return signer


def fhir_user(account: Account) -> str | None:
    """`Patient/id` or `Practitioner/id`; None for an account that is nobody in the records."""
    if account.practitioner_id is not None:
        return f"Practitioner/{account.practitioner_id}"
    return None if account.patient_id is None else f"Patient/{account.patient_id}"
