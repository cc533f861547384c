"""The id_token: who signed in, as a signed statement. https://openid.net/specs/openid-connect-core-1_0.html#IDToken"""

from __future__ import annotations

from collections.abc import Mapping

from authlib.oidc.core.grants.code import OpenIDToken
from joserfc.jwk import RSAKey

from fhir_facade.flows.launch.issuer import ACCESS_LIFETIME, Issuer
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
            "iss": self._server.moment.issuer.name,
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
        return person_claims(account, scope, self._server.moment.issuer)

    @property
    def _signer(self) -> Signer:
        signer = self._server.moment.signer
        assert signer is not None
        return signer


def person_claims(account: Account, scope: str, issuer: Issuer) -> dict[str, Json]:
    """What id_token and userinfo say of a person under a scope."""
    words, reference = set(scope.split()), fhir_user(account)
    claims: dict[str, Json] = {"sub": account.id}
    if "fhirUser" in words and reference is not None:
        claims["fhirUser"] = f"{issuer.fhir}/{reference}"
    if "profile" in words:
        claims |= {"preferred_username": account.username, "zoneinfo": account.zone}
    return claims


def fhir_user(account: Account) -> str | None:
    """`Patient/id`, `Practitioner/id` or `RelatedPerson/id`; None for an account that is nobody in the records."""
    people = {
        "Practitioner": account.practitioner_id,
        "RelatedPerson": account.related_person_id,
        "Patient": account.patient_id,
    }
    return next((f"{kind}/{person}" for kind, person in people.items() if person is not None), None)
