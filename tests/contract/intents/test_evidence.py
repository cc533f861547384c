"""A real HAPI tells which request wrote, also after later versions and deletions."""

import uuid

import pytest

from fhir_facade.adapters.hapi import open_store, request_id
from fhir_facade.fhir.document import parse
from fhir_facade.values import Ref, Write

pytestmark = pytest.mark.hapi


@pytest.fixture
async def store(hapi_url):
    async with open_store(hapi_url) as store:
        yield store


def put(ref, gender):
    body = f'{{"resourceType":"Patient","id":"{ref.id}","gender":"{gender}"}}'.encode()
    return Write("put", ref, body, {"resourceType": "Patient", "id": ref.id, "gender": gender})


async def write_as(store, request, *writes):
    token = request_id.set(request)
    try:
        return await store.write(writes)
    finally:
        request_id.reset(token)


@pytest.fixture
def request_ids():
    return [f"-_{uuid.uuid4().hex[:14]}" for _ in range(3)]


@pytest.fixture
def refs():
    return [Ref("Patient", uuid.uuid4().hex) for _ in range(2)]


async def test_what_nobody_wrote_did_not_happen(store, refs, request_ids):
    assert not await store.happened(request_ids[0], refs)

    await write_as(store, request_ids[0], put(refs[0], "female"))

    assert not await store.happened(request_ids[1], refs)
    assert not await store.happened(request_ids[0], refs[1:])


async def test_a_refused_transaction_did_not_happen(store, refs, request_ids):
    body = b'{"resourceType":"Patient","link":[{"other":{"reference":"Patient/absent-one"}}]}'
    bad = Write("put", refs[1], body, parse(body))

    with pytest.raises(Exception, match="absent-one"):
        await write_as(store, request_ids[0], put(refs[0], "female"), bad)

    assert not await store.happened(request_ids[0], refs)


async def test_single_writes_and_transactions_are_found_behind_later_versions(store, refs, request_ids):
    first, second, third = request_ids
    await write_as(store, first, put(refs[0], "female"))
    await write_as(store, second, *(put(ref, "male") for ref in refs))
    await write_as(store, third, *(Write("delete", ref) for ref in refs))

    assert await store.happened(first, refs)
    assert await store.happened(second, refs)
    assert await store.happened(second, refs[1:])
