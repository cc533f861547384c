"""A template becomes an answer: texts in the reader's language, a strict content policy, nothing cached.

https://www.w3.org/TR/CSP3/, https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x12-V3-Web-Frontend-Security.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from fhir_facade.api.pages.texts import LANGUAGES, language_of, texts

LANGUAGE_COOKIE: Final = "fhir_facade_language"


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    form_targets: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """Render `template`. `form_targets` are origins a form's answer may redirect to, besides our own."""
    language = reader_language(request)
    frame = {"t": texts(language), "language": language, "switches": _switches(request, language, shown=status == 200)}
    html = _environment().get_template(template).render(**frame, **values)
    return HTMLResponse(html, status, safe_headers(form_targets) | dict(headers or {}))


def reader_language(request: Request) -> str:
    """The language chosen in this browser, else the best of what it asks for."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    return chosen if chosen in LANGUAGES else language_of(request.headers.get("accept-language"))


def _switches(request: Request, language: str, *, shown: bool) -> list[tuple[str, str]]:
    """(language, address) of the same page in the other languages. What was posted is not repeated, and a page about a
    mistake does not carry on the address that was one."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    back = here if shown and request.method == "GET" else "/"
    return [(other, f"/language?{urlencode({'to': other, 'next': back})}") for other in LANGUAGES if other != language]


def see_other(location: str) -> Response:
    """303 to a URL that is ASCII already: the browser follows with GET and does not repeat what was posted."""
    headers = {"Location": location, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Response(status_code=303, headers=headers)


def safe_headers(form_targets: Sequence[str] = ()) -> dict[str, str]:
    """Headers of every page: no foreign content, no framing, no traces in caches and referrers.

    Chromium also applies `form-action` to the redirect that answers a form, so its target has to be listed.
    """
    targets = " ".join(["'self'", *map(_source, form_targets)])
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; connect-src 'self'; "
        f"font-src 'self'; form-action {targets}; base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Pragma": "no-cache",
    }


def _source(origin: str) -> str:
    """As a policy names it. It knows no IPv6 addresses: of those, all with the scheme.

    https://www.w3.org/TR/CSP3/#grammardef-host-part
    """
    return f"{origin.partition(':')[0]}:" if "[" in origin else origin


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(str(files("fhir_facade.api").joinpath("templates")))
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
