"""The HTTP side of signing in: discovery, token endpoints, and the pages people see on the way."""

from fhir_facade.api.oauth.dependencies import OAuthDeps
from fhir_facade.api.oauth.routes import oauth_routes

__all__ = ["OAuthDeps", "oauth_routes"]
