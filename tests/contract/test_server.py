"""The servers that the test run starts for itself."""

from __future__ import annotations

import uuid

import asyncpg
import httpx
import pytest

from tests.hapi_server import HapiServer, said_by


@pytest.mark.hapi
async def test_the_hapi_under_test_keeps_its_resources_in_the_cluster_of_this_run(hapi_server: HapiServer) -> None:
    database = await asyncpg.connect(hapi_server.postgres_url)
    try:
        tables = await database.fetchval("SELECT count(*) FROM pg_tables WHERE tablename = 'hfj_resource'")
        zone = await database.fetchval("SHOW timezone")
    finally:
        await database.close()

    assert (tables, zone) == (1, "UTC")
    assert said_by(hapi_server.url) == hapi_server.canary


@pytest.mark.hapi
async def test_the_hapi_under_test_resolves_no_conditional_reference(hapi_server: HapiServer) -> None:
    mark = uuid.uuid4().hex
    patient = {"resourceType": "Patient", "identifier": [{"system": "urn:case", "value": mark}]}
    reading = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "a reading"},
        "subject": {"reference": f"Patient?identifier=urn:case|{mark}"},
    }
    async with httpx.AsyncClient(base_url=hapi_server.url, timeout=60, verify=False) as hapi:
        there = await hapi.post("/Patient", json=patient)
        refused = await hapi.post("/Observation", json=reading)

    assert there.status_code == 201
    assert refused.status_code == 400
    assert "Inline match URLs are not supported" in refused.text


@pytest.mark.postgres
async def test_each_test_module_gets_an_empty_database(postgres_url: str) -> None:
    database = await asyncpg.connect(postgres_url)
    try:
        tables = await database.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    finally:
        await database.close()

    assert tables == 0
