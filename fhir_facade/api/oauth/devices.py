"""The device somebody signs in with: a lasting cookie that names it, and what its browser says it is.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x16-V7-Session-Management.md (7.4.5)
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from fhir_facade.api.oauth.dependencies import OAuthDeps
from fhir_facade.api.pages.cookies import SECRET
from fhir_facade.flows.sign_ins import FORGOTTEN, Device

_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
"""What a User-Agent says, the telling words first: most browsers also name those they imitate."""


def device_of(deps: OAuthDeps, request: Request) -> Device:
    """The device of a request; a new secret when its browser has none or a malformed one."""
    value = request.cookies.get(_name(deps), "")
    secret = value if SECRET.fullmatch(value) else deps.ports.ids.secret()
    return Device(secret, device_name(request.headers.get("user-agent", "")))


def remember(deps: OAuthDeps, response: Response, device: Device) -> None:
    """Keep the device's cookie; it opens nothing."""
    age = int(FORGOTTEN.total_seconds())
    response.set_cookie(
        _name(deps),
        device.secret,
        max_age=age,
        path="/",
        secure=not deps.plain_loopback,
        httponly=True,
        samesite="lax",
    )


def device_name(agent: str) -> str:
    """`Firefox, Windows`; as much of it as is known."""
    found = (next((name for word, name in table if word in agent), "") for table in (_BROWSERS, _SYSTEMS))
    return ", ".join(filter(None, found))


def _name(deps: OAuthDeps) -> str:
    return "fhir_facade_device" if deps.plain_loopback else "__Host-fhir_facade_device"
