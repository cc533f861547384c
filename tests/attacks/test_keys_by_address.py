"""Attacks with the address of a key set: the server is made to ask machines that only it can reach. No store takes part.

https://www.rfc-editor.org/rfc/rfc7591#section-5, https://owasp.org/API-Security/editions/2023/en/0xa7-server-side-request-forgery/
"""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from fhir_facade.adapters.client_key_sets import PAUSE_S, HttpKeySets
from fhir_facade.errors import UpstreamError
from fhir_facade.flows.launch.client_keys import fetch_key_set
from fhir_facade.flows.launch.clients import NewClient, add_client
from fhir_facade.rows.oauth import Client
from tests.sign_in_world import BASE

URL = "https://keys.example.org/jwks"
ADDRESS = "8.8.8.8"
KEY = RSAKey.generate_key(2048, {"kid": "k1", "alg": "RS384"})


@dataclass
class Internet:
    """Names and what they stand for when they are asked for the first, second, … time; who was connected to."""

    names: list[Sequence[str]]
    looked_up: int = 0
    connected: list[httpx.Request] = field(default_factory=list)
    now: float = 0.0
    refuses: str | None = None

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.looked_up += 1
        return self.names[min(self.looked_up, len(self.names)) - 1]

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.connected.append(request)
        if request.url.host == self.refuses:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, content=b'{"keys": []}')

    def key_sets(self) -> HttpKeySets:
        return HttpKeySets(lambda: self.now, httpx.MockTransport(self.answer), self.resolve)


@pytest.fixture
async def opened() -> AsyncIterator[Any]:
    made: list[HttpKeySets] = []

    def open_(internet: Internet) -> HttpKeySets:
        made.append(internet.key_sets())
        return made[-1]

    yield open_
    for sets in made:
        await sets.close()


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["172.16.0.1"],
        ["192.168.1.1"],
        ["169.254.169.254"],
        ["100.64.0.1"],
        ["0.0.0.0"],
        ["224.0.0.1"],
        ["::1"],
        ["fe80::1"],
        ["fd00:ec2::254"],
        ["::ffff:169.254.169.254"],
        ["2002:a9fe:a9fe::1"],
        ["64:ff9b::a9fe:a9fe"],
        [ADDRESS, "10.1.2.3"],
    ],
    ids=lambda addresses: " and ".join(addresses),
)
async def test_ssrf_by_a_name_that_leads_to_a_machine_next_door(opened: Any, addresses: list[str]) -> None:
    """The name looked like any other: only what it stands for tells."""
    internet = Internet([addresses])

    with pytest.raises(UpstreamError):
        await opened(internet).fetch(URL, public=True)

    assert internet.connected == []


async def test_dns_rebinding_between_the_look_and_the_connection(opened: Any) -> None:
    """The name was public when it was checked, and private when it was connected to a moment later."""
    internet = Internet([[ADDRESS], ["169.254.169.254"]])

    await opened(internet).fetch(URL, public=True)

    (request,) = internet.connected
    assert internet.looked_up == 1
    assert request.url == f"https://{ADDRESS}/jwks"
    assert request.headers["host"] == "keys.example.org"
    assert request.extensions["sni_hostname"] == "keys.example.org"


async def test_what_an_operator_may_reach_is_not_handed_to_an_app_that_registered_itself(opened: Any) -> None:
    internet = Internet([["10.1.2.3"]])
    sets = opened(internet)

    assert await sets.fetch(URL) == b'{"keys": []}'
    with pytest.raises(UpstreamError):
        await sets.fetch(URL, public=True)


async def test_the_next_address_of_a_name_is_tried_when_one_does_not_answer(opened: Any) -> None:
    internet = Internet([[ADDRESS, "1.1.1.1"]], refuses=ADDRESS)

    await opened(internet).fetch(URL, public=True)

    assert [request.url.host for request in internet.connected] == [ADDRESS, "1.1.1.1"]


async def test_a_flood_of_assertions_as_a_flood_of_requests_to_somebody_else(opened: Any) -> None:
    """Assertions of nobody made the server ask an address as often as they came."""
    internet = Internet([[ADDRESS]], refuses=ADDRESS)
    sets = opened(internet)

    for _ in range(3):
        with pytest.raises(UpstreamError):
            await sets.fetch(URL, public=True)
    asked_at_once = len(internet.connected)
    internet.now = PAUSE_S
    with pytest.raises(UpstreamError):
        await sets.fetch(URL, public=True)

    assert (asked_at_once, len(internet.connected)) == (1, 2)


@pytest.mark.parametrize("by_itself", [True, False], ids=["registered itself", "added by an operator"])
async def test_the_internet_is_all_that_is_asked_for_an_app_that_registered_itself(world: Any, by_itself: bool) -> None:
    document = json.dumps(KeySet([KEY]).as_dict(private=False)).encode()
    world.keys.documents[URL] = document
    await add_client(world.ports, NewClient("svc", "backend", "system/*.rs", jwks_uri=URL))
    if by_itself:
        await world.ports.state.write(lambda tx: tx.change(Client, [("id", "=", "svc")], registration_hash="given"))
    now = int(world.clock.now().timestamp())
    claims = {"iss": "svc", "sub": "svc", "aud": f"{BASE}/oauth/token", "exp": now + 60, "jti": "j1"}

    answer = await world.token(
        grant_type="client_credentials",
        scope="system/*.rs",
        client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion=jwt.encode({"alg": "RS384", "kid": "k1"}, claims, KEY, ["RS384"]),
    )

    assert answer.status == 200, answer.body
    assert world.keys.public_only == [by_itself]


async def test_a_key_set_that_may_be_small_only_until_it_is_unpacked() -> None:
    internet = Internet([[ADDRESS]])
    packed = gzip.compress(b'{"keys": []}')
    answer = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(packed))
    sets = HttpKeySets(lambda: 0.0, httpx.MockTransport(lambda request: answer), internet.resolve)

    with pytest.raises(UpstreamError):
        await sets.fetch(URL, public=True)
    await sets.close()


@pytest.mark.parametrize("document", [b"[" * 60_000, b'{"keys": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"])
async def test_a_key_set_that_is_deeper_than_a_reader_goes(document: bytes) -> None:
    """An app that registered itself made the token endpoint a defect for everybody who named it."""
    internet = Internet([[ADDRESS]])
    answer = httpx.Response(200, content=document)
    sets = HttpKeySets(lambda: 0.0, httpx.MockTransport(lambda request: answer), internet.resolve)

    assert await fetch_key_set(sets, URL, public=True) == ()
    await sets.close()
