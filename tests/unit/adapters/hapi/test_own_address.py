"""HAPI's own address in a record: the way past the facade's checks that only HAPI would understand."""

import socket

import pytest

from fhir_facade.adapters.hapi.store import open_store
from fhir_facade.errors import BadRequest, Unavailable
from fhir_facade.fhir.document import parse
from fhir_facade.values import Ref, Write


def put(reference: bytes) -> Write:
    body = b'{"resourceType":"Observation","id":"x","focus":[{"reference":"%s"}]}' % reference
    return Write("put", Ref("Observation", "x"), body, parse(body))


@pytest.fixture
def nowhere():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}/fhir"


@pytest.mark.parametrize(
    "spell", [str, lambda text: text.replace("/", "\\/"), lambda text: text.replace("h", "\\u0068", 1)]
)
async def test_a_reference_by_the_address_of_hapi_is_refused_before_hapi_sees_it(nowhere, spell):
    async with open_store(nowhere) as store:
        with pytest.raises(BadRequest, match="another server"):
            await store.write([put(spell(f"{nowhere}/Observation/foreign").encode())])


async def test_other_references_go_on_to_hapi(nowhere):
    async with open_store(nowhere) as store:
        with pytest.raises(Unavailable):
            await store.write([put(f"{nowhere}x/Observation/foreign".encode())])
