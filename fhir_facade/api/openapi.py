"""The description of the whole server: FastAPI's own routes, and those of FHIR and OAuth out of the tables that route them.

https://spec.openapis.org/oas/v3.1.0
"""  # noqa: E501  one sentence

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from fhir_facade.api.oauth.routes import DOCUMENTS_AND_TOKENS, PAGES
from fhir_facade.api.openapi_fhir import fhir_paths, resource_schemas
from fhir_facade.api.problems import MEDIA_TYPE as PROBLEM
from fhir_facade.api.v1.connections import CALLBACK
from fhir_facade.fhir.media_types import FORM
from fhir_facade.flows.launch.issuer import SCOPES_SUPPORTED, Issuer

CONVENIENCE: Final = "/api/v1/"

_CLIENT: Final = ("client_id", "client_secret", "client_assertion_type", "client_assertion")
_OAUTH: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "/fhir/.well-known/smart-configuration": ("SMART discovery", ()),
    "/fhir/.well-known/openid-configuration": ("OpenID Connect discovery", ()),
    "/.well-known/openid-configuration": ("OpenID Connect discovery, for who knows the host only", ()),
    "/oauth/jwks": ("The public keys that check an id_token", ()),
    "/oauth/token": (
        "A code, a refresh token or a client assertion becomes an access token",
        ("grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", *_CLIENT),
    ),
    "/oauth/introspect": ("What a token is worth now", ("token", "token_type_hint", *_CLIENT)),
    "/oauth/revoke": (
        "Give a token back, and with it everything of the same consent",
        ("token", "token_type_hint", *_CLIENT),
    ),
    "/oauth/style": ("How our pages look, for apps that like to look alike", ()),
    "/oauth/register": ("Register an app, with an initial access token (RFC 7591)", ()),
    "/oauth/register/{client_id}": ("The registration of an app, with its own token (RFC 7592)", ()),
    "/oauth/userinfo": ("Who the bearer of the token is", ()),
    "/oauth/authorize": (
        "Begin: an app sends the browser here",
        (
            *("response_type", "client_id", "redirect_uri", "scope", "state", "aud", "launch", "nonce", "prompt"),
            *("max_age", "code_challenge", "code_challenge_method"),
        ),
    ),
    "/oauth/continue": ("The page of the next step", ("request",)),
    "/oauth/patient": ("Choose the patient the app works with", ("csrf", "request", "patient")),
    "/oauth/consent": ("Allow the app what was ticked, or nothing", ("csrf", "request", "decision", "scope")),
    "/oauth/logout": (
        "An app asks to sign the person out",
        ("id_token_hint", "client_id", "post_logout_redirect_uri", "state"),
    ),
    "/oauth/logout/confirm": ("Sign out, as the app asked", ("csrf", "target")),
    "/login": ("Sign in with user name and password", ("csrf", "next", "username", "password")),
    "/logout": ("Sign out", ("csrf", "next")),
}
"""What each address is for, and what its query or form carries, in the words of the specifications."""

CSRF: Final = "By session, for requests that change something: the value of the field `csrf` of a page's form"
_OPEN: Final = frozenset({CALLBACK, "/api/v1/accounts/register"})
"""What is called without a token and without a session."""

_NAME: Final = str.maketrans({"/": "_", "-": "_", ".": None, "{": None, "}": None})
"""From an address to the name of an operation."""

_SENTENCE: Final = re.compile(r"(?<=\.) ")

_PROBLEMS: Final = {
    400: "The request is not understood; `detail` says what to do",
    401: "No token or session, or one that is no longer good",
    403: "The token or the person may not do this",
    404: "Absent, or not yours: the same answer",
}


def describe(app: FastAPI, issuer: Issuer, cookie: str) -> Callable[[], dict[str, Any]]:
    """What `app.openapi` answers: made on the first question, the same dictionary afterwards. `cookie` is the name of
    the portal's session."""

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            app.openapi_schema = _document(app, issuer, cookie)
        return app.openapi_schema

    return openapi


def _document(app: FastAPI, issuer: Issuer, cookie: str) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=_ABOUT, routes=app.routes)
    document["servers"] = [{"url": issuer.base}]
    document["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items()]
    for path, item in document["paths"].items():
        for operation in item.values():
            _convene(path, operation)
    document["paths"] |= fhir_paths() | _oauth_paths()
    components = document.setdefault("components", {})
    components["securitySchemes"] = _security(issuer, cookie)
    own = {name: schema for name, schema in components.get("schemas", {}).items() if name not in _VALIDATION}
    components["schemas"] = {**own, **resource_schemas(), **_SCHEMAS}
    return document


# --- the convenience API --------------------------------------------------------------------------------------


def _convene(path: str, operation: dict[str, Any]) -> None:
    """What FastAPI cannot know: what it is in a sentence, who may call, and how errors look here."""
    operation["summary"], operation["description"] = _first_sentence(operation["description"])
    answers = operation["responses"]
    if "HTTPValidationError" in str(answers.get("422", "")):
        del answers["422"]
    if not path.startswith(CONVENIENCE):
        return
    operation["security"] = [] if path in _OPEN else [{"bearer": []}, {"session": [], "csrf": []}]
    if path == CALLBACK:
        return
    for status, text in _PROBLEMS.items():
        answers.setdefault(str(status), {"description": text})
    for status, answer in answers.items():
        if status >= "400":
            answer["content"] = {PROBLEM: {"schema": _ref("Problem")}}


def _first_sentence(text: str) -> tuple[str, str]:
    """The sentence a list shows, as plain words without its full stop, and the whole of what is known."""
    sentence = _SENTENCE.split(" ".join(text.split()), maxsplit=1)[0]
    return sentence.removesuffix(".").replace("`", ""), text


# --- signing in -----------------------------------------------------------------------------------------------


def _oauth_paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for table, media_type in ((DOCUMENTS_AND_TOKENS, "application/json"), (PAGES, "text/html")):
        for method, path, _ in table:
            if method != "OPTIONS":
                paths.setdefault(path, {})[method.lower()] = _oauth(method, path, media_type)
    return paths


def _oauth(method: str, path: str, media_type: str) -> dict[str, Any]:
    summary, fields = _OAUTH[path]
    operation: dict[str, Any] = {
        "tags": ["sign-in"],
        "summary": summary,
        "operationId": method.lower() + path.translate(_NAME),
        "security": [],
        "responses": {"200": {"description": "The answer", "content": {media_type: {"schema": _ANSWERS[media_type]}}}},
    }
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if method in ("POST", "PUT") and path.startswith("/oauth/register"):
        metadata = {"schema": {"type": "object", "properties": {"redirect_uris": {"type": "array"}}}}
        operation["requestBody"] = {"required": True, "content": {"application/json": metadata}}
    elif method == "POST":
        form = {"type": "object", "properties": {name: {"type": "string"} for name in fields}}
        operation["requestBody"] = {"required": True, "content": {FORM: {"schema": form}}}
    elif fields:
        operation["parameters"] = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in fields]
    if media_type == "text/html":
        operation["responses"]["303"] = {"description": "On to the next page, or back to the app"}
        operation["responses"]["400"] = {"description": "A page that says the way out", "content": {media_type: {}}}
    elif method == "POST":
        error = {"application/json": {"schema": _ref("OAuthError")}}
        operation["responses"] |= {
            "400": {"description": "Refused; `error` is a word of RFC 6749", "content": error},
            "401": {"description": "The client is not who it says", "content": error},
        }
    return operation


def _security(issuer: Issuer, cookie: str) -> dict[str, Any]:
    flow = {
        "tokenUrl": f"{issuer.base}/oauth/token",
        "refreshUrl": f"{issuer.base}/oauth/token",
        "scopes": dict.fromkeys(SCOPES_SUPPORTED, "SMART scope"),
    }
    return {
        "smart": {
            "type": "oauth2",
            "description": "SMART App Launch 2.2 with PKCE",
            "flows": {
                "authorizationCode": {"authorizationUrl": f"{issuer.base}/oauth/authorize", **flow},
                "clientCredentials": flow,
            },
        },
        "bearer": {"type": "http", "scheme": "bearer", "description": "An access token"},
        "session": {"type": "apiKey", "in": "cookie", "name": cookie, "description": "The portal's session"},
        "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token", "description": CSRF},
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


_ABOUT: Final = "FHIR R4 with SMART sign-in, and a convenience API for wearables, scores, vitals and alerts."
_TAGS: Final = {
    "FHIR": "The RESTful API of FHIR R4 for all resource types: https://hl7.org/fhir/R4/http.html",
    "sign-in": "SMART App Launch, OAuth 2.0 and OpenID Connect",
    "accounts": "Who can sign in",
    "wearables": "Connect a wearable, read it, disconnect it",
    "score": "Life's Essential 8",
    "vitals": "Readings a person types in",
    "alerts": "Alerts and their live stream",
    "access log": "Who looked at one's own data, and access in an emergency",
    "operation": "For those who run the server",
}
_VALIDATION: Final = frozenset({"HTTPValidationError", "ValidationError"})
_ANSWERS: Final[Mapping[str, Any]] = {"application/json": {"type": "object"}, "text/html": {"type": "string"}}
_TEXT: Final = {"type": "string"}
_SCHEMAS: Final[Mapping[str, Any]] = {
    "Problem": {
        "type": "object",
        "description": "https://www.rfc-editor.org/rfc/rfc9457",
        "required": ["type", "title", "status", "detail", "request_id"],
        "properties": {
            **dict.fromkeys(("type", "title", "detail", "request_id", "field", "reason"), _TEXT),
            "status": {"type": "integer"},
        },
    },
    "OAuthError": {
        "type": "object",
        "required": ["error"],
        "properties": {"error": _TEXT, "error_description": _TEXT},
    },
}
