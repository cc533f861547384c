"""Clients are registered strictly, listed, and ended with everything they were given."""

import msgspec
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from fhir_facade.errors import BadRequest, Conflict, NotFound
from fhir_facade.flows.launch.clients import NewClient, add_client, disable_client, list_clients, origin_registered
from fhir_facade.flows.launch.verify import verify_access_token
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.oauth import Client
from tests.sign_in_world import REDIRECT

KEY = RSAKey.generate_key(2048, {"kid": "k"})


def jwks(*keys):
    return msgspec.json.encode({"keys": list(keys)}).decode()


PUBLIC = KEY.as_dict(private=False)
NEW = {"id": "new", "kind": "public", "scope": "patient/*.rs", "redirect_uris": (REDIRECT,)}
BACKEND = {"id": "new", "kind": "backend", "scope": "system/*.rs", "jwks": jwks(PUBLIC)}
CONFIDENTIAL = NEW | {"kind": "confidential"}


@pytest.mark.parametrize(
    "registration",
    [
        pytest.param(NEW | {"kind": "other"}, id="unknown type"),
        pytest.param(NEW | {"id": ""}, id="empty id"),
        pytest.param(NEW | {"id": "a b"}, id="id with a space"),
        pytest.param(NEW | {"id": "x" * 129}, id="long id"),
        pytest.param(NEW | {"name": "x" * 201}, id="long name"),
        pytest.param(NEW | {"scope": ""}, id="no scope"),
        pytest.param(NEW | {"scope": "patient/*.rs patient/Nonsense.rs"}, id="unknown type in a scope"),
        pytest.param(NEW | {"scope": "system/*.rs"}, id="system scope for an app"),
        pytest.param(NEW | {"redirect_uris": ()}, id="no redirect URI"),
        pytest.param(NEW | {"redirect_uris": ("http://app.example/",)}, id="http redirect URI"),
        pytest.param(NEW | {"secret": "a-long-secret"}, id="public with a secret"),
        pytest.param(NEW | {"jwks": jwks(PUBLIC)}, id="public with keys"),
        pytest.param(BACKEND | {"redirect_uris": (REDIRECT,)}, id="backend with a redirect URI"),
        pytest.param(BACKEND | {"scope": "patient/*.rs"}, id="backend with patient scopes"),
        pytest.param(BACKEND | {"scope": "system/*.rs openid"}, id="backend with openid"),
        pytest.param(BACKEND | {"jwks": None}, id="backend without keys"),
        pytest.param(BACKEND | {"secret": "a-long-secret"}, id="backend with a secret"),
        pytest.param(BACKEND | {"jwks_uri": "https://b.example/jwks"}, id="keys and their address"),
        pytest.param(BACKEND | {"jwks": None, "jwks_uri": "http://b.example/jwks"}, id="key address over http"),
        pytest.param(BACKEND | {"jwks": None, "jwks_uri": "https://u@b.example/jwks"}, id="key address with a user"),
        pytest.param(BACKEND | {"jwks": None, "jwks_uri": "https:///jwks"}, id="key address without a host"),
        pytest.param(BACKEND | {"jwks": "{"}, id="keys that are no JSON"),
        pytest.param(BACKEND | {"jwks": "[]"}, id="keys that are a list"),
        pytest.param(BACKEND | {"jwks": jwks()}, id="no keys"),
        pytest.param(BACKEND | {"jwks": jwks("x")}, id="a key that is no object"),
        pytest.param(BACKEND | {"jwks": jwks(KEY.as_dict(private=True))}, id="private key"),
        pytest.param(BACKEND | {"jwks": jwks(OctKey.generate_key(256, {"kid": "o"}).as_dict())}, id="symmetric key"),
        pytest.param(BACKEND | {"jwks": jwks(PUBLIC | {"kid": ""})}, id="key without a name"),
        pytest.param(BACKEND | {"jwks": jwks(PUBLIC, PUBLIC)}, id="two keys of one name"),
        pytest.param(CONFIDENTIAL | {"secret": "short"}, id="short secret"),
        pytest.param(CONFIDENTIAL | {"secret": "with a space inside"}, id="secret with spaces"),
    ],
)
async def test_a_bad_registration_is_refused_with_a_reason(ports, registration):
    with pytest.raises(BadRequest) as refused:
        await add_client(ports, NewClient(**registration))
    assert len(str(refused.value)) > 20
    assert await list_clients(ports) == []


async def test_an_id_is_taken_once(ports):
    await add_client(ports, NewClient(**NEW))
    with pytest.raises(Conflict, match="choose another id, or change that one"):
        await add_client(ports, NewClient(**NEW))


async def test_disabling_an_unknown_client_is_an_error(ports):
    with pytest.raises(NotFound):
        await disable_client(ports, "nobody")


async def test_a_generated_secret_is_told_once_and_stored_as_a_hash(ports):
    secret = await add_client(ports, NewClient(**CONFIDENTIAL))
    assert secret.startswith("ffk_")
    assert len(secret) > 43
    assert secret not in str(await list_clients(ports))


@pytest.mark.parametrize(
    "registration",
    [
        pytest.param(NEW, id="public"),
        pytest.param(BACKEND, id="backend"),
        pytest.param(CONFIDENTIAL | {"secret": "given-secret"}, id="given secret"),
        pytest.param(CONFIDENTIAL | {"jwks_uri": "http://localhost:9000/jwks"}, id="keys on loopback"),
        pytest.param(
            BACKEND | {"jwks": jwks(PUBLIC, ECKey.generate_key("P-384", {"kid": "k"}).as_dict(private=False))},
            id="one name, two types",
        ),
    ],
)
async def test_nothing_is_generated_that_was_given_or_is_not_needed(ports, registration):
    assert await add_client(ports, NewClient(**registration)) is None


async def test_clients_are_listed_by_id(ports):
    await add_client(ports, NewClient(**NEW | {"id": "b"}))
    await add_client(ports, NewClient(**BACKEND | {"id": "a"}))
    assert [(client.id, client.kind, client.disabled) for client in await list_clients(ports)] == [
        ("a", "backend", False),
        ("b", "public", False),
    ]


async def test_scripts_may_call_from_the_origins_of_live_clients(ports):
    await add_client(ports, NewClient(**NEW | {"redirect_uris": ("https://app.example/x", "http://localhost:3000/")}))
    assert await origin_registered(ports, "https://app.example")
    assert await origin_registered(ports, "http://localhost:3000")
    assert not await origin_registered(ports, "https://evil.example")
    await disable_client(ports, "new")
    assert not await origin_registered(ports, "https://app.example")


async def test_disabling_ends_what_the_client_was_given(world):
    body = await world.tokens()
    await disable_client(world.ports, "app")
    assert await verify_access_token(world.ports, body["access_token"]) is None
    assert [row.disabled for row in await world.rows(Client)] == [True]


async def test_administration_is_audited(ports):
    await add_client(ports, NewClient(**NEW))
    await disable_client(ports, "new")
    lines = await ports.state.read(lambda tx: tx.find(AuditLine, order=("id",)))
    assert [(line.action, line.client, line.detail) for line in lines] == [
        ("admin", "new", "client added"),
        ("admin", "new", "client disabled"),
    ]
