"""The rules that can raise alerts are definitions in the record: found before anything was raised, kept as they are."""

from __future__ import annotations

import asyncio
import json
import logging

import httpx
import pytest

from fhir_facade.flows.accounts import NewAccount
from fhir_facade.flows.alert_rules import store_rules
from fhir_facade.flows.load import load_files
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rules.alerts import plan_definition, rules
from tests.accounts import with_account
from tests.facade import facade_env, served
from tests.patience import PATIENCE_S
from tests.ward import PASSWORD, admitted

RULE = "heart-rate-very-high"
AT = f"/fhir/PlanDefinition/{RULE}"
URL = f"https://fhir-facade.org{AT}"
SYSTEM = "https://fhir-facade.org/fhir/CodeSystem/alert"
ALL = len(rules()) + 1
"""With their code system."""

pytestmark = pytest.mark.both_stores


async def _found(client: httpx.AsyncClient, **params: str) -> list[str]:
    answer = await client.get("/fhir/PlanDefinition", params={"_count": "100"} | params)
    assert answer.status_code == 200, answer.text
    return sorted(entry["resource"]["id"] for entry in answer.json().get("entry", ()))


async def _stored(client: httpx.AsyncClient, at: str = AT) -> dict[str, object]:
    answer = await client.get(at)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _lines(facade) -> list[str]:
    found = await facade.ports.state.read(lambda tx: tx.find(AuditLine, ("actor", "=", "alert-engine")))
    return sorted(line.entity for line in found)


async def _admin(facade, scope: str = "user/*.cruds") -> httpx.AsyncClient:
    await with_account(facade.ports, NewAccount("keeper", "admin", PASSWORD))
    return await facade.client(scope, username="keeper")


# --- who may not ------------------------------------------------------------------------------------------------


async def test_nobody_reads_the_rules_without_signing_in_and_a_scope_for_them(facade):
    await store_rules(facade.ports)

    assert (await facade.anonymous.get(AT)).status_code == 401
    assert (await (await facade.client("system/Observation.rs")).get(AT)).status_code == 403


async def test_an_administrator_of_definitions_cannot_change_a_rule_of_the_server(facade, client):
    await store_rules(facade.ports)
    admin, before = await _admin(facade), await _stored(client)
    patch = [{"op": "replace", "path": "/status", "value": "retired"}]
    tag = {"meta": {"tag": [{"system": "urn:tags", "code": "ours"}]}}

    answers = [
        await admin.put(AT, json={**before, "status": "retired"}),
        await admin.patch(AT, content=json.dumps(patch), headers={"Content-Type": "application/json-patch+json"}),
        await admin.post(
            f"{AT}/$meta-add",
            json={"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": tag["meta"]}]},
        ),
        await admin.delete(AT),
        await admin.delete("/fhir/CodeSystem/alert"),
    ]

    assert [answer.status_code for answer in answers] == [403] * len(answers)
    assert await _stored(client) == before


async def test_an_administrator_still_keeps_definitions_of_ones_own(facade):
    await store_rules(facade.ports)
    admin = await _admin(facade)

    copied = await admin.post("/fhir/PlanDefinition", json={**plan_of(RULE), "url": "urn:own:rule", "title": "Ours"})
    own = f"/fhir/PlanDefinition/{copied.json()['id']}"

    assert copied.status_code == 201, copied.text
    assert (await admin.put(own, json={**copied.json(), "status": "retired"})).status_code == 200
    assert (await admin.delete(own)).status_code == 200


def plan_of(rule_id: str) -> dict[str, object]:
    """Without the thresholds, which are no JSON of Python."""
    rule = next(rule for rule in rules() if rule.id == rule_id)
    return {name: value for name, value in plan_definition(rule).items() if name != "action"}


async def test_what_somebody_else_put_under_the_id_of_a_rule_stays_and_the_log_tells(facade, client, caplog):
    theirs = {**plan_of(RULE), "url": "urn:theirs", "title": "Theirs"}
    assert (await client.put(AT, json=theirs)).status_code == 201

    with caplog.at_level(logging.WARNING):
        assert await store_rules(facade.ports) == ALL - 1
        assert await store_rules(facade.ports) == 0

    assert (await _stored(client))["title"] == "Theirs"
    assert [(record.msg, record.id) for record in caplog.records if record.name.endswith("alert_rules")] == [
        ("alert_rules.id_taken", RULE)
    ]


# --- what is there ----------------------------------------------------------------------------------------------


async def test_every_rule_is_read_and_searched_like_any_definition(facade, client):
    await store_rules(facade.ports)

    stored = await _stored(client)
    assert (stored["url"], stored["status"], stored["title"]) == (URL, "active", "Heart rate very high")
    assert await _found(client) == sorted(rule.id for rule in rules())
    assert await _found(client, url=URL, version="1") == [RULE]
    assert await _found(client, title="heart rate very", status="active") == [RULE, "heart-rate-very-low"]
    assert await _found(client, type="eca-rule", name="GlucoseLow") == ["glucose-low"]


async def test_the_code_of_an_alert_is_looked_up_in_the_code_system_of_the_rules(facade, client):
    await store_rules(facade.ports)

    answer = await client.get("/fhir/CodeSystem/$lookup", params={"system": SYSTEM, "code": RULE})

    assert answer.status_code == 200, answer.text
    assert {"name": "display", "valueString": "Heart rate very high"} in answer.json()["parameter"]


async def test_a_patient_and_a_doctor_read_the_rules_too(facade):
    await store_rules(facade.ports)
    ward = await admitted(facade)

    for reader in (await ward.person(), await ward.staff(scope="user/*.rs")):
        assert (await _stored(reader))["url"] == URL
        assert len(await _found(reader)) == len(rules())


async def test_an_alert_names_the_definition_that_raised_it(facade, client):
    await store_rules(facade.ports)
    ward = await admitted(facade)
    await ward.post(ward.reading(140))

    (task,), (issue,) = await ward.find("Task"), await ward.find("DetectedIssue")
    (canonical,) = [row["valueCanonical"] for row in issue["extension"] if row["url"].endswith("/alert-rule")]
    assert await _found(client, url=task["instantiatesUri"]) == [RULE]
    assert await _found(client, url=canonical.partition("|")[0], version=canonical.partition("|")[2]) == [RULE]


# --- how they get there -----------------------------------------------------------------------------------------


async def test_the_rules_are_written_once_by_the_engine_whoever_asks_again(facade, client):
    first, *more = await asyncio.gather(*(store_rules(facade.ports) for _ in range(3)))

    assert sorted([first, *more]) == [0, 0, ALL]
    assert (await _stored(client))["meta"]["versionId"] == "1"
    assert await _lines(facade) == sorted(["CodeSystem/alert", *(f"PlanDefinition/{rule.id}" for rule in rules())])


async def test_a_rule_that_says_something_else_or_was_deleted_is_put_right(facade, client):
    await store_rules(facade.ports)
    other = await _stored(client)
    assert (await client.put(AT, json={**other, "version": "0", "title": "Before the upgrade"})).status_code == 200
    assert (await client.delete("/fhir/PlanDefinition/glucose-low")).status_code == 200

    assert await store_rules(facade.ports) == 2

    now = await _stored(client)
    assert (now["version"], now["title"], now["meta"]["versionId"]) == ("1", "Heart rate very high", "3")
    assert (await _stored(client, "/fhir/PlanDefinition/glucose-low"))["status"] == "active"


async def test_rules_of_another_server_that_are_imported_are_put_right_too(facade, client, tmp_path):
    file = tmp_path / "older.ndjson"
    file.write_text(json.dumps({**plan_of(RULE), "version": "0"}))
    assert [result.refused async for result in load_files(facade.ports, [file])] == [[]]

    assert await store_rules(facade.ports) == ALL

    assert (await _stored(client))["version"] == "1"


def test_a_server_has_them_soon_after_its_start_and_never_twice(tmp_path):
    env = facade_env(tmp_path / "data", WORKERS="2")
    for _ in range(2):
        with served(env, tmp_path / "log") as server:
            asyncio.run(_until_all_are_there(server))


async def _until_all_are_there(server) -> None:
    headers = {"Authorization": f"Bearer {server.token()}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as client, asyncio.timeout(PATIENCE_S):
        while len(await _found(client)) < len(rules()):
            await asyncio.sleep(0.05)
        versions = (await client.get("/fhir/PlanDefinition/_history", params={"_count": "100"})).json()
    assert len(versions["entry"]) == len(rules())
