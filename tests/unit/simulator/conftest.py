"""A simulator with a stopped clock, and a client that has clicked through its pages."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from fhir_facade.simulator.app import create_simulator
from fhir_facade.simulator.data_types import SCOPES

REDIRECT = "http://127.0.0.1:9/callback"
VERIFIER = "v" * 50
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


class StoppedClock:
    """A clock that moves only when told."""

    def __init__(self):
        self.time = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    def __call__(self):
        return self.time

    def forward(self, **delta):
        self.time += timedelta(**delta)


class Person:
    """A browser and a web application in one: clicks, exchanges codes, calls the API."""

    def __init__(self, http):
        self.http = http

    async def authorize(self, **changes):
        asked = {
            "client_id": "fhir-facade",
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "scope": " ".join(SCOPES),
            "state": "s1",
            "access_type": "offline",
            "prompt": "consent",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "login_hint": "alex@example.com",
        }
        asked.update(changes)
        return await self.http.get("/o/oauth2/v2/auth", params={k: v for k, v in asked.items() if v is not None})

    async def consent(self, page, scopes=tuple(SCOPES), decision="allow", account="alex@example.com"):
        handle = re.search(r'name="request" value="([^"]+)"', page.text)[1]
        form = {"request": handle, "account": account, "scope": list(scopes), "decision": decision}
        answer = await self.http.post("/o/oauth2/v2/consent", data=form)
        return answer, {k: v[0] for k, v in parse_qs(urlsplit(answer.headers.get("location", "")).query).items()}

    async def exchange(self, code, **changes):
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": VERIFIER,
            "client_id": "fhir-facade",
            "client_secret": "simulator-secret",
        }
        return await self.http.post("/token", data={**form, **changes})

    async def tokens(self, account="alex@example.com", scopes=tuple(SCOPES), **changes):
        page = await self.authorize(login_hint=account, **changes)
        _, answer = await self.consent(page, scopes, account=account)
        return (await self.exchange(answer["code"])).json()

    async def sign_in(self, account="alex@example.com", scopes=tuple(SCOPES)):
        token = (await self.tokens(account, scopes))["access_token"]
        self.http.headers["Authorization"] = f"Bearer {token}"

    async def points(self, data_type, method="", **query):
        return await self.http.get(f"/v4/users/me/dataTypes/{data_type}/dataPoints{method}", params=query)

    async def rollup(self, data_type, first, stop, **members):
        body = {"range": {"start": {"date": _date(first)}, "end": {"date": _date(stop)}}, **members}
        return await self.http.post(f"/v4/users/me/dataTypes/{data_type}/dataPoints:dailyRollUp", json=body)

    async def fault(self, **fault):
        return await self.http.post("/simulator/faults", json=fault)


def _date(text):
    year, month, day = (int(part) for part in text.split("-"))
    return {"year": year, "month": month, "day": day}


@pytest.fixture
def clock():
    return StoppedClock()


@pytest.fixture
async def person(clock):
    transport = httpx.ASGITransport(create_simulator(clock))
    async with httpx.AsyncClient(transport=transport, base_url="http://vendor") as http:
        yield Person(http)
