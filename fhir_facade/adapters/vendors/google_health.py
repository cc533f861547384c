"""Google Health API v4 with Google OAuth 2.0 behind `ports.DeviceVendor`.

https://developers.google.com/health, https://developers.google.com/identity/protocols/oauth2/web-server.
Only `.readonly` scopes are asked for, and only those of data types we map (plus settings, for the time zone).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fhir_facade.adapters.vendors.calls import Answer, Call, VendorCalls
from fhir_facade.adapters.vendors.google_requests import Chunk, chunks, inside, next_page
from fhir_facade.errors import (
    AccessTokenRefused,
    MissingScope,
    NotLinked,
    ReconsentNeeded,
    VendorError,
    VendorRetired,
)
from fhir_facade.ports import Clock, VendorDevice, VendorRecords, VendorSettings, VendorTokens
from mappers.google_health import types

NAME = "google-health"
SETTINGS_SCOPE = "https://www.googleapis.com/auth/googlehealth.settings.readonly"
MAX_PAGES = 200

_TOKENS_DEAD = "Google no longer accepts our access; connect again."


class GoogleHealth:
    """The adapter. Addresses as in the settings; `/v4/…` is appended to `api_base`."""

    name = NAME
    title = "Google Health"

    def __init__(
        self,
        *,
        authorize_url: str,
        token_url: str,
        revoke_url: str,
        api_base: str,
        client_id: str,
        client_secret: str,
        clock: Clock,
        calls: VendorCalls | None = None,
    ) -> None:
        self._authorize_url = authorize_url
        self._token_url = token_url
        self._revoke_url = revoke_url
        self._api_base = api_base.rstrip("/")
        self._client = {"client_id": client_id, "client_secret": client_secret}
        self._clock = clock
        self._calls = calls or VendorCalls("Google Health", now=clock.now)
        self.data_types: Mapping[str, str] = {name: spec.scope for name, spec in types().items()}
        self.scopes = tuple(sorted({*self.data_types.values(), SETTINGS_SCOPE}))

    async def close(self) -> None:
        await self._calls.close()

    def authorize_url(self, *, state: str, challenge: str, redirect_uri: str) -> str:
        query = {
            "client_id": self._client["client_id"],
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": " ".join(self.scopes),
            "access_type": "offline",
            "prompt": "consent",
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._authorize_url}?{urlencode(query)}"

    async def exchange(self, *, code: str, verifier: str, redirect_uri: str) -> VendorTokens:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": redirect_uri,
            **self._client,
        }
        tokens = self._tokens(await self._calls.send(Call("POST", self._token_url, form=form, again=False), _token))
        return tokens if tokens.scopes else replace(tokens, scopes=self.scopes)

    async def refresh(self, refresh_token: str) -> VendorTokens:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **self._client}
        return self._tokens(await self._calls.send(Call("POST", self._token_url, form=form), _token))

    async def revoke(self, token: str) -> None:
        try:
            await self._calls.send(Call("POST", self._revoke_url, form={"token": token}), _revocation)
        except _NothingLeft:
            return

    async def identity(self, access_token: str) -> str:
        document = await self._get(access_token, "identity")
        return _text(document, "healthUserId")

    async def settings(self, access_token: str) -> VendorSettings:
        zone = (await self._get(access_token, "settings")).get("timeZone")
        paired = (await self._get(access_token, "pairedDevices")).get("pairedDevices", [])
        rows = [row for row in paired if isinstance(row, Mapping)] if isinstance(paired, Sequence) else []
        return VendorSettings(_known_zone(zone), tuple(_device(row) for row in rows))

    async def fetch(self, access_token: str, *, data_type: str, start: date, end: date) -> VendorRecords:
        records: list[Mapping[str, Any]] = []
        budget = MAX_PAGES
        for chunk in chunks(self._api_base, data_type, types()[data_type], start, end):
            used, complete = await self._read(chunk, access_token, budget, records)
            budget -= used
            if not complete:
                return VendorRecords(records, complete=False)
        return VendorRecords(records, complete=True)

    async def _read(
        self, chunk: Chunk, access_token: str, budget: int, records: list[Mapping[str, Any]]
    ) -> tuple[int, bool]:
        """Append the rows of all pages of a chunk; how many pages, and whether they were all."""
        call = replace(chunk.call, token=access_token)
        for page in range(1, budget + 1):
            document = await self._calls.send(call, _data)
            records += [row for row in _rows(document) if inside(chunk, row)]
            token = document.get("nextPageToken")
            if not token:
                return page, True
            call = replace(next_page(chunk.call, str(token)), token=access_token)
        return budget, False

    async def _get(self, access_token: str, resource: str) -> Mapping[str, Any]:
        return await self._calls.send(
            Call("GET", f"{self._api_base}/v4/users/me/{resource}", token=access_token), _data
        )

    def _tokens(self, document: Mapping[str, Any]) -> VendorTokens:
        lifetime, refresh = document.get("expires_in"), document.get("refresh_token")
        if not isinstance(lifetime, int) or lifetime < 0:
            raise VendorError("Google's token answer has no expires_in; try again later.")
        return VendorTokens(
            access_token=_text(document, "access_token"),
            refresh_token=refresh if isinstance(refresh, str) and refresh else None,
            expires_at=self._clock.now() + timedelta(seconds=lifetime),
            scopes=tuple(str(document.get("scope", "")).split()),
        )


class _NothingLeft(VendorError):
    """The token is revoked or unknown: nothing is left to do, whatever the body of the answer was."""


def _text(document: Mapping[str, Any], member: str) -> str:
    value = document.get(member)
    if not isinstance(value, str) or not value:
        raise VendorError(f"Google's answer has no {member}; try again later.")
    return value


def _rows(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The records of a page. A page of something else is a VendorError: it must not look like an empty one."""
    rows = document.get("dataPoints", document.get("rollupDataPoints", []))
    strange = bool(document) and not document.keys() & {"dataPoints", "rollupDataPoints", "nextPageToken"}
    if strange or not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise VendorError("Google answered a page whose records cannot be read; try again later.")
    return rows


def _known_zone(name: Any) -> str | None:
    try:
        return ZoneInfo(name).key
    except (ValueError, TypeError, OSError, LookupError):
        return None


def _device(row: Mapping[str, Any]) -> VendorDevice:
    name = str(row.get("name", "")).rpartition("/")[2]
    return VendorDevice(name, str(row.get("deviceVersion", "")), str(row.get("deviceType", "")).lower())


# --- what bad answers mean ------------------------------------------------------------------------------------


def _error(answer: Answer) -> Any:
    return (answer.document or {}).get("error")


def _reason(answer: Answer) -> str | None:
    """ErrorInfo.reason of a Google API error; https://cloud.google.com/apis/design/errors."""
    error = _error(answer)
    details = error.get("details") if isinstance(error, Mapping) else None
    rows = details if isinstance(details, list) else []
    return next((str(row["reason"]) for row in rows if isinstance(row, Mapping) and "reason" in row), None)


_REASONS: Mapping[str, Callable[[], VendorError]] = {
    "ACCOUNT_NOT_LINKED": lambda: NotLinked(
        "This Google account has no Google Health profile; set up Google Health with it and connect again."
    ),
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": lambda: MissingScope(
        "Google says that this kind of data was not granted; connect again and tick it."
    ),
}
_STATUSES: Mapping[int, Callable[[], VendorError]] = {
    401: lambda: AccessTokenRefused("Google did not accept the access token."),
    410: lambda: VendorRetired("Google switched this interface off; an update of this software is needed."),
}


def _data(answer: Answer) -> Exception | None:
    """The Health API: by the reason in the body first, then by status."""
    meaning = _REASONS.get(_reason(answer) or "") or _STATUSES.get(answer.status)
    if _error(answer) == "insufficient_scope":
        meaning = _REASONS["ACCESS_TOKEN_SCOPE_INSUFFICIENT"]
    return meaning() if meaning is not None else None


def _token(answer: Answer) -> Exception | None:
    """The token endpoint: https://www.rfc-editor.org/rfc/rfc6749#section-5.2."""
    if _error(answer) == "invalid_grant":
        return ReconsentNeeded(_TOKENS_DEAD)
    if answer.status == 410:
        return _STATUSES[410]()
    if 400 <= answer.status < 500 and answer.status != 429:
        return VendorError("Google refused our client; the operator must check the GOOGLE_CLIENT settings.")
    return None


def _revocation(answer: Answer) -> Exception | None:
    done = answer.status < 300 or _error(answer) == "invalid_token"
    return _NothingLeft(_TOKENS_DEAD) if done else None
