"""A client row as the OAuth core wants to ask it. https://www.rfc-editor.org/rfc/rfc6749#section-2"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from authlib.oauth2.rfc6749 import ClientMixin

from fhir_facade.access.scopes import ScopeSet, intersect, parse_scopes, serialise
from fhir_facade.flows.launch.issuer import OFFERED_NAMED
from fhir_facade.flows.launch.opaque import same
from fhir_facade.flows.launch.redirects import redirect_matches
from fhir_facade.rows.oauth import Client

GRANT_TYPES_OF: Final[Mapping[str, frozenset[str]]] = {
    "public": frozenset({"authorization_code", "refresh_token"}),
    "confidential": frozenset({"authorization_code", "refresh_token"}),
    "backend": frozenset({"client_credentials"}),
}


class RegisteredClient(ClientMixin):
    """Answers from one row; the row was read in the transaction of the request."""

    def __init__(self, row: Client) -> None:
        self.row = row

    def get_client_id(self) -> str:
        return self.row.id

    def get_default_redirect_uri(self) -> None:
        """None: a request has to name its redirect URI."""

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """What of the asked scope this client may have, in the dialect asked; None when nothing is left."""
        return serialise(self.allowed(parse_scopes(scope or ""))) or None

    def allowed(self, asked: ScopeSet) -> ScopeSet:
        met = intersect(asked, parse_scopes(self.row.scope))
        return ScopeSet(met.fhir, met.launch & frozenset(OFFERED_NAMED), met.v1)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        native = self.row.kind == "public"
        return any(redirect_matches(known, redirect_uri, native=native) for known in self.row.redirect_uris)

    def check_client_secret(self, client_secret: str) -> bool:
        return self.row.secret_hash is not None and same(client_secret, self.row.secret_hash)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """The same at every endpoint."""
        return method in self.methods()

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and self.check_grant_type("authorization_code")

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in GRANT_TYPES_OF[self.row.kind]

    def methods(self) -> frozenset[str]:
        """How this client authenticates."""
        if self.row.kind == "public":
            return frozenset({"none"})
        if self.row.secret_hash is not None:
            return frozenset({"client_secret_basic", "client_secret_post"})
        return frozenset({"private_key_jwt"})
