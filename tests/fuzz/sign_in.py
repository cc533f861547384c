"""What an app and a browser may send while somebody signs in: parameters missing, repeated, and of bytes that are no text."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

from hypothesis import strategies as st

from tests.fuzz.searches import FORM
from tests.fuzz.seeds import ANNA
from tests.fuzz.stage import PASSWORD, PEOPLE, REDIRECT, SECRET
from tests.fuzz.values import HEADER_TEXTS, JSON, VALUES, Texts, anything, in_address, mostly, query, seldom, words
from tests.fuzz.wire import Request
from tests.fuzz.writes import encoded

CHALLENGE: Final = "JBbiqONGWPaAmwXk_8bT6UnlPfrn65D32eZlJS-zGG0"


def _segment(document: Any) -> str:
    return base64.urlsafe_b64encode(encoded(document)).rstrip(b"=").decode()


_JWTS: Final[Texts] = st.one_of(
    st.builds(
        lambda head, claims, sign: f"{_segment(head)}.{_segment(claims)}.{sign}",
        st.one_of(
            JSON,
            st.sampled_from(
                (
                    {"alg": "none"},
                    {"alg": "RS384", "kid": "x"},
                    {"alg": "ES384", "typ": "JWT", "jku": "http://127.0.0.1:1/"},
                    {"alg": "HS256", "crit": ["x"]},
                )
            ),
        ),
        st.one_of(
            JSON,
            st.fixed_dictionaries({}, optional=dict.fromkeys(("iss", "sub", "aud", "exp", "jti", "iat", "nbf"), JSON)),
        ),
        words("x AAAA - ="),
    ),
    words(".. a.b.c eyJ.eyJ. ..."),
    VALUES,
)
_RIGHT: Final[dict[str, Texts]] = {
    "response_type": words("code code code token"),
    "client_id": words("app app server nobody"),
    "redirect_uri": st.sampled_from(
        (
            REDIRECT,
            REDIRECT,
            REDIRECT,
            REDIRECT,
            f"{REDIRECT}/x",
            "http://[",
            "//a",
            "javascript:1",
            "https://app.example/callback#f",
        )
    ),
    "scope": st.sampled_from(
        (
            "launch/patient openid fhirUser offline_access patient/*.rs",
            "openid",
            "patient/Observation.rs?code=a|b",
            "system/*.cruds",
            "patient/*.?",
            " ",
            "launch",
        )
    ),
    "state": words("x"),
    "aud": words("http://127.0.0.1/fhir x"),
    "iss": words("x"),
    "launch": words("x"),
    "nonce": words("n"),
    "prompt": words("none login consent none\x20login x"),
    "max_age": words("0 -1 1 99999999999999999999 1.5 x"),
    "request": words("a.b.c"),
    "request_uri": words("urn:x http://127.0.0.1:1"),
    "response_mode": words("query form_post x"),
    "login_hint": words("anna"),
    "id_token_hint": _JWTS,
    "code_challenge": st.just(CHALLENGE),
    "code_challenge_method": words("S256 plain x"),
    "grant_type": words(
        "authorization_code refresh_token client_credentials password urn:ietf:params:oauth:grant-type:jwt-bearer x"
    ),
    "code": words("ffc_x x"),
    "code_verifier": st.just("v" * 43),
    "refresh_token": words("ffr_x x"),
    "client_secret": st.sampled_from((SECRET, "x")),
    "client_assertion_type": st.just("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
    "client_assertion": _JWTS,
    "token": words("ffa_x ffr_x x"),
    "token_type_hint": words("access_token refresh_token x"),
    "post_logout_redirect_uri": st.just(REDIRECT),
    "csrf": st.just("{csrf}"),
    "decision": words("allow deny x"),
    "patient": st.sampled_from((ANNA, "bert", "x")),
    "next": words("/ /apps //evil /\\evil https://evil"),
    "username": words("anna nobody"),
    "password": st.sampled_from((PASSWORD, "x", "a" * 5000)),
}
_OF: Final[dict[str, tuple[str, ...]]] = {
    "/oauth/authorize": (
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "aud",
        "nonce",
        "code_challenge",
        "code_challenge_method",
    ),
    "/oauth/token": (
        "grant_type",
        "client_id",
        "client_secret",
        "code",
        "redirect_uri",
        "code_verifier",
        "refresh_token",
        "client_assertion",
        "client_assertion_type",
        "scope",
    ),
    "/oauth/introspect": (
        "token",
        "token_type_hint",
        "client_id",
        "client_secret",
        "client_assertion",
        "client_assertion_type",
    ),
    "/oauth/revoke": ("token", "token_type_hint", "client_id", "client_secret"),
    "/oauth/userinfo": ("access_token",),
    "/oauth/continue": ("request",),
    "/oauth/patient": ("csrf", "request", "patient"),
    "/oauth/consent": ("csrf", "request", "decision", "scope"),
    "/oauth/logout": ("id_token_hint", "post_logout_redirect_uri", "state", "client_id"),
    "/oauth/logout/confirm": ("csrf", "request", "decision"),
    "/login": ("csrf", "next", "username", "password"),
    "/logout": ("csrf",),
}
_AUTHORIZATIONS: Final = st.one_of(
    st.builds(
        lambda text: "Basic " + base64.b64encode(text.encode("utf-8", "surrogatepass")).decode(),
        st.one_of(st.just(f"server:{SECRET}"), words(": app: :x server server:x"), VALUES),
    ),
    st.builds(lambda text: f"Bearer {text}", HEADER_TEXTS),
    HEADER_TEXTS,
)


@st.composite
def _given(draw: st.DrawFn, path: str) -> list[tuple[str, str]]:
    """The parameters of an endpoint, most of them right; some left out, doubled, swapped or nobody's."""
    found = []
    for name in _OF[path]:
        if seldom(draw):
            found += [(name, value) for value in draw(st.lists(VALUES, max_size=3))]
        else:
            found.append((name, draw(_RIGHT.get(name, VALUES))))
    if draw(st.integers(0, 3)) == 0:
        found.append((draw(st.one_of(st.sampled_from(sorted(_RIGHT)), VALUES)), draw(VALUES)))
    return found


@st.composite
def oauth_requests(draw: st.DrawFn) -> Request:
    """An endpoint of the authorization server, by the methods it takes and those it does not."""
    path = draw(st.sampled_from(sorted(_OF)))
    asked, caller = (
        query(draw(_given(path))),
        draw(st.sampled_from((*PEOPLE, *PEOPLE, "nobody", "system", "doctor", "stranger"))),
    )
    asked = asked.replace(in_address("{csrf}"), "{csrf}")
    extra = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "Authorization": _AUTHORIZATIONS,
                "Origin": words("null https://app.example x"),
                "Accept": words("text/html application/json */*"),
                "Accept-Language": HEADER_TEXTS,
                "X-Forwarded-For": words("9.9.9.1 9.9.9.2 x"),
            },
        )
    )
    method = draw(
        mostly(
            words("GET") if path in ("/oauth/authorize", "/oauth/continue", "/oauth/logout") else words("POST"),
            words("GET PUT DELETE HEAD OPTIONS PATCH"),
        )
    )
    if method == "POST" and not seldom(draw):
        kind, body = draw(_form_bodies(asked.encode()))
        return Request(
            method, path, caller, (("Content-Type", kind), *extra.items()), body, draw(st.sampled_from((0, 0, 5)))
        )
    return Request(method, f"{path}?{asked}", caller, tuple(extra.items()))


@st.composite
def _form_bodies(draw: st.DrawFn, form: bytes) -> tuple[str, bytes]:
    way = draw(st.integers(0, 11))
    if way == 0:
        return draw(
            st.one_of(
                words(
                    "application/json text/plain multipart/form-data application/x-www-form-urlencoded;charset=utf-16"
                ),
                HEADER_TEXTS,
            )
        ), form
    if way == 1:
        parts = b"".join(
            b'--x\r\nContent-Disposition: form-data; name="' + part.replace(b"=", b'"\r\n\r\n', 1) + b"\r\n"
            for part in form.split(b"&")
        )
        return "multipart/form-data; boundary=x", parts + draw(st.sampled_from((b"--x--\r\n", b"--x", b"")))
    if way == 2:
        return FORM[1], draw(
            st.one_of(st.binary(max_size=60), st.just(b"a=1&" * 20_000), st.just(b"csrf=" + b"x" * 2_000_000))
        )
    return FORM[1], form


_METADATA: Final[dict[str, st.SearchStrategy[Any]]] = {
    "redirect_uris": mostly(st.just([REDIRECT]), st.lists(VALUES, max_size=3)),
    "token_endpoint_auth_method": words("none client_secret_basic private_key_jwt x"),
    "grant_types": st.just(["authorization_code"]),
    "response_types": st.just(["code"]),
    "client_name": st.just("An app"),
    "scope": st.just("openid patient/*.rs"),
    "jwks": st.one_of(
        st.sampled_from(
            (
                {"keys": []},
                {"keys": [{"kty": "RSA", "n": "AQ", "e": "AQAB"}]},
                {"keys": [{"kty": "EC", "crv": "P-384", "x": "", "y": "", "kid": "a"}]},
                {"keys": [None]},
            )
        ),
        JSON,
    ),
    "jwks_uri": st.just("https://app.example/jwks"),
    "launch_uri": st.just("https://app.example/launch"),
    "contacts": JSON,
    "logo_uri": JSON,
    "software_statement": st.one_of(_JWTS, JSON),
    "post_logout_redirect_uris": JSON,
}

_MOSTLY: Final = {name: mostly(value, JSON) for name, value in _METADATA.items()}


@st.composite
def registrations(draw: st.DrawFn) -> Request:
    """Clients that register themselves, and what they say later."""
    document = (
        {"redirect_uris": [REDIRECT]} | draw(st.fixed_dictionaries({}, optional=_MOSTLY))
        if not seldom(draw)
        else draw(JSON)
    )
    method = draw(words("POST POST GET PUT PUT DELETE"))
    name = (
        ""
        if method == "POST"
        else draw(mostly(st.just("/{client}"), anything().map(lambda text: f"/{in_address(text)}")))
    )
    path = f"/oauth/register{'/' if seldom(draw) else name}"
    if method == "PUT" and isinstance(document, dict):
        document = {"client_id": "{client}"} | document
    extra = {"Authorization": draw(_AUTHORIZATIONS)} if seldom(draw) else {}
    kind = draw(mostly(st.just("application/json"), HEADER_TEXTS))
    raw = mostly(st.just(encoded(document)), st.binary(max_size=30) | st.just(json.dumps(document).encode("utf-16")))
    body = None if method in ("GET", "DELETE") else draw(raw)
    usual = "invited" if method == "POST" else "registered"
    caller = draw(mostly(st.just(usual), words("nobody root system invited registered")))
    return Request(method, path, caller, (("Content-Type", kind), *extra.items()), body)
