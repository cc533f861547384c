"""The audit copied into the store: each line once, as far as it got, and nobody who is forgotten stays in it."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhir_facade.adapters.hapi.store import open_store
from fhir_facade.errors import NotFound, Unavailable
from fhir_facade.fhir.validation import validate
from fhir_facade.flows.accounts import NewAccount
from fhir_facade.flows.audit_chain import drop_old, seal, verify
from fhir_facade.flows.audit_copy import AT_ONCE, copied_to, copy, due, ref_of_copy
from fhir_facade.flows.audit_erase import Forgotten, forget
from fhir_facade.flows.background import background
from fhir_facade.interactions.audit_names import line_names
from fhir_facade.ports import Ports
from fhir_facade.rows.audit import AuditCopy as AuditCopyRow
from fhir_facade.rows.audit import AuditLine
from fhir_facade.values import HistoryQuery, SearchQuery
from tests.accounts import with_account
from tests.facade import Facade, embedded_facade
from tests.patience import PATIENCE_S

NOW = datetime(2024, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def unused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a deployment without anything in it, to be copied."""
    folder = tmp_path_factory.mktemp("unused")

    async def make() -> None:
        async with embedded_facade(folder):
            pass

    asyncio.run(make())
    return folder


@pytest.fixture
async def facade(tmp_path: Path, unused: Path) -> AsyncIterator[Facade]:
    async with embedded_facade(shutil.copytree(unused, tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
def ports(facade: Facade) -> Ports:
    """The copies go into the store of the facade."""
    return facade.ports


def line(**elements: Any) -> AuditLine:
    common = {"at": NOW, "action": "read", "outcome": "success", "actor": "doctor", "user": "account-doctor"}
    return AuditLine(**{**common, "patient": "anna", "entity": "Observation/1", **elements})


async def sealed(ports: Ports, *lines: AuditLine) -> list[AuditLine]:
    await ports.state.append(lines)
    await seal(ports)
    return await ports.state.read(lambda tx: tx.find(AuditLine, order=("id",)))


async def copy_of(ports: Ports, of: AuditLine) -> dict[str, Any]:
    return dict(msgspec.json.decode((await ports.store.read(ref_of_copy(of))).body))


async def copies(ports: Ports) -> int:
    return (await ports.store.search(SearchQuery("AuditEvent", count=0, total=True))).total or 0


async def reached(ports: Ports) -> int:
    return await ports.state.read(copied_to)


async def test_where_the_store_does_not_answer_nothing_is_lost_and_the_next_copy_goes_on(ports: Ports) -> None:
    await sealed(ports, line(), line(patient="bert"))
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        async with open_store(f"http://127.0.0.1:{nobody.getsockname()[1]}/fhir") as down:
            with pytest.raises(Unavailable):
                await copy(replace(ports, store=down))
    assert await reached(ports) == 0

    assert await copy(ports) == 2
    assert (await copies(ports), await reached(ports)) == (2, 2)


async def test_what_is_not_sealed_yet_waits(ports: Ports) -> None:
    await sealed(ports, line())
    await ports.state.append([line()])

    assert (await due(ports), await copy(ports), await copies(ports)) == (1, 1, 1)
    await seal(ports)
    assert (await due(ports), await copy(ports), await copies(ports)) == (1, 1, 2)


async def test_copying_again_changes_nothing(ports: Ports) -> None:
    (first, _) = await sealed(ports, line(), line())
    told: list[int] = []
    await copy(ports)

    assert await copy(ports) == 0
    assert (await due(ports, again=True), await copy(ports, again=True, tell=told.append)) == (2, 2)

    history = await ports.store.history(HistoryQuery("AuditEvent", ref_of_copy(first).id))
    assert (len(history.entries), await reached(ports), told) == (1, 2, [2])


async def test_a_copy_that_ended_before_it_was_remembered_is_made_again_without_a_trace(ports: Ports) -> None:
    """As when the process dies between the two."""
    (first, second) = await sealed(ports, line(), line())
    await copy(ports)
    await ports.state.write(lambda tx: tx.change(AuditCopyRow, [("target", "=", "hapi")], last=first.id))

    assert await copy(ports) == 1
    assert (await ports.store.read(ref_of_copy(second))).version == "1"


async def test_processes_take_turns(ports: Ports) -> None:
    await sealed(ports, *(line(entity=f"Observation/{number}") for number in range(2 * AT_ONCE + 1)))

    done = await asyncio.gather(*(copy(ports) for _ in range(3)))

    assert (sum(done), await copies(ports)) == (2 * AT_ONCE + 1, 2 * AT_ONCE + 1)


async def test_a_copy_says_what_the_audit_event_says_without_a_link(facade: Facade, ports: Ports) -> None:
    """A link to what is not there would be refused, and nothing that a copy links to could be deleted."""
    account = await with_account(
        ports, NewAccount("doc", "practitioner", "correct horse battery", practitioner_id="doc")
    )
    read = line(user=account.id, entity="Observation/none", version="3", at=NOW + timedelta(seconds=1))
    lines = await sealed(ports, read, line(action="search-type", entity="Condition", query="code=x"))
    await copy(ports)

    made = await copy_of(ports, next(each for each in lines if each.at == read.at))
    service = await facade.client("system/AuditEvent.rs")
    event = (await service.get(made["meta"]["source"].removeprefix(facade.settings.base_url))).json()

    base = facade.settings.fhir_url
    named = [each["what"]["identifier"]["value"] for each in made["entity"]]
    assert named[:2] == [f"{base}/Observation/none/_history/3", f"{base}/Patient/anna"]
    person = next(agent for agent in made["agent"] if agent["requestor"])
    assert person["who"] == {
        "type": "Practitioner",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"{base}/Practitioner/doc"},
    }
    assert (person["name"], made["entity"][1]["name"]) == ("Practitioner/doc", "Patient/anna")
    assert b'"reference"' not in msgspec.json.encode(made)
    same = ("type", "subtype", "action", "recorded", "outcome", "source")
    assert [made.get(name) for name in same] == [event.get(name) for name in same]
    assert made["meta"]["profile"] == event["meta"]["profile"]
    assert not validate(made, type="AuditEvent")


async def test_the_facade_answers_from_the_lines_whatever_was_copied(facade: Facade, ports: Ports) -> None:
    (first,) = await sealed(ports, line())
    await copy(ports)
    service = await facade.client("system/*.rs")

    found = (await service.get("/fhir/AuditEvent?entity=Observation/1")).json()
    history = (await service.get("/fhir/_history")).json()
    everything = (await service.get("/fhir/?_lastUpdated=gt2000")).json()

    id_ = (await line_names(ports)).id_of(first.id)
    assert [entry["resource"]["id"] for entry in found["entry"]] == [id_]
    assert (await service.get(f"/fhir/{ref_of_copy(first)}")).status_code == 404
    assert not history.get("entry")
    assert not everything.get("entry")


async def test_who_is_forgotten_is_in_no_version_of_a_copy(ports: Ports) -> None:
    about, of_bert, by_her, later = await sealed(
        ports,
        line(query="patient=anna"),
        line(patient="bert", entity="Observation/2"),
        line(patient="bert", user="account-anna", actor="anna", entity="Observation/2", address="192.0.2.7"),
        line(),
    )
    await copy(ports)
    await sealed_more(ports, line())

    await forget(ports, Forgotten("anna", ("Observation/1",), ("account-anna",)))

    for each in (about, by_her, later):
        history = await ports.store.history(HistoryQuery("AuditEvent", ref_of_copy(each).id))
        assert len(history.entries) == 1
        assert not [word for word in (b"anna", b"192.0.2.7", b'Observation/1"') if word in history.entries[0].body]
    assert (await copy_of(ports, of_bert))["entity"][0]["what"]["identifier"]["value"].endswith("Observation/2")
    assert await reached(ports) == later.id
    assert not (await verify(ports)).problems
    await copy(ports)
    assert await copies(ports) == 5


async def sealed_more(ports: Ports, added: AuditLine) -> None:
    await ports.state.append([added])
    await seal(ports)


async def test_copies_go_with_the_lines_that_were_kept_long_enough(ports: Ports) -> None:
    (old,) = await sealed(ports, line())
    await copy(ports)
    days = ports.deployment.audit_kept_days + 1
    later = replace(ports, clock=Later(datetime.now(UTC) + timedelta(days=days)))

    assert await drop_old(later) == 1

    with pytest.raises(NotFound):
        await ports.store.read(ref_of_copy(old))
    assert not (await verify(ports)).problems


class Later:
    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def now(self) -> datetime:
        return self._moment


@pytest.mark.parametrize("asked_for", [True, False])
async def test_a_serving_process_copies_where_the_setting_says_so(
    facade: Facade, ports: Ports, asked_for: bool
) -> None:
    await sealed(ports, line())
    chosen = replace(ports, deployment=replace(ports.deployment, audit_copied=asked_for))

    async with background(chosen, facade.app.web.state.deps.syncs), asyncio.timeout(PATIENCE_S):
        while asked_for and not await reached(ports):
            await asyncio.sleep(0.01)
        await seal(ports)

    assert await reached(ports) == int(asked_for)
