"""One visit of a page of the portal: the browser, who is signed in there, and how to answer.

https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x12-V3-Web-Frontend-Security.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from fhir_facade.api.dependencies import Caller, origin_of
from fhir_facade.api.oauth.browser import Browser, remembered
from fhir_facade.api.oauth.dependencies import OAuthDeps
from fhir_facade.api.pages.render import page, reader_language, see_other
from fhir_facade.api.pages.texts import Text, texts
from fhir_facade.api.portal.wording import Wording
from fhir_facade.flows.admission import Origin
from fhir_facade.flows.background import RunningSyncs
from fhir_facade.flows.launch.sign_in import Caller as SignInCaller
from fhir_facade.flows.launch.verify import principal_of_account
from fhir_facade.flows.sessions import SignedIn
from fhir_facade.ports import Ports
from fhir_facade.rules.observations import zone_of
from fhir_facade.values import Principal

NOTICES = frozenset(
    (
        *("acknowledge", "respond", "resolve", "false-alarm"),
        *("score", "unknown-birth-date", "under-age"),
        *("read", "disconnected", "not-revoked"),
        *("withdrawn", "signed-out", "device-known", "password", "password-apps"),
        *("device-forgotten", "address", "no-address", "password-chosen"),
        *("app-verified", "app-disabled", "app-enabled", "app-changed", "invitation-withdrawn"),
        *("account-disabled", "account-enabled", "account-changed", "account-signed-out", "account-signed-out-apps"),
    )
)
"""What `?done=` may say: each is a sentence `done.*` of the catalogue."""


@dataclass(frozen=True, slots=True)
class Portal:
    """What the pages share."""

    oauth: OAuthDeps
    syncs: RunningSyncs

    @property
    def ports(self) -> Ports:
        return self.oauth.ports


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of somebody who is signed in."""

    portal: Portal
    request: Request
    browser: Browser
    signed_in: SignedIn

    @property
    def ports(self) -> Ports:
        return self.portal.ports

    @property
    def principal(self) -> Principal:
        return principal_of_account(self.signed_in.account, expires_at=self.signed_in.session.expires_at)

    @property
    def origin(self) -> Origin:
        return origin_of(self.request)

    @property
    def caller(self) -> SignInCaller:
        """Where the request came from, as the flows of signing in want to know it."""
        return SignInCaller(self.origin.address, self.origin.request_id)

    @property
    def language(self) -> str:
        return reader_language(self.request)

    @property
    def t(self) -> Text:
        return texts(self.language)

    def part(self, name: str) -> str:
        """A part of the address, such as the id of a connection."""
        return str(self.request.path_params[name])

    def words(self, zone: str | None = None) -> Wording:
        """Numbers and times for this reader, by the clock of `zone` or else of the account."""
        return Wording(self.t, zone_of(zone or self.signed_in.account.zone), self.ports.clock.now())

    def show(self, template: str, *, form_targets: Sequence[str] = (), status: int = 200, **values: Any) -> Response:
        """A page with the navigation of somebody who is signed in."""
        done = self.request.query_params.get("done", "")
        common: dict[str, Any] = {
            "csrf": self.browser.csrf,
            "account": self.signed_in.account,
            "notice": self.t(f"done.{done}") if done in NOTICES else "",
            "here": self.request.url.path,
            "devices": (),
        }
        shown = page(self.request, template, status=status, form_targets=form_targets, **{**common, **values})
        return remembered(self.portal.oauth, self.browser, shown)

    def go(self, path: str, done: str = "") -> Response:
        """303 to a page of ours, which then says what was done."""
        return see_other(f"{path}?{urlencode({'done': done})}" if done else path)


def enter(portal: Portal, request: Request, browser: Browser, signed_in: SignedIn) -> Visit:
    """The visit of somebody signed in, remembered with the request, so that a refusal can say whom it refused."""
    visit = Visit(portal, request, browser, signed_in)
    origin = visit.origin
    request.state.caller = Caller(visit.principal, origin.request_id, origin.address, signed_in.session.hash)
    return visit
