"""The pages by hand, without a browser: sign in, connect, read, see what it means, disconnect. On each store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_facade.app import create_app
from fhir_facade.flows.accounts import NewAccount
from fhir_facade.settings import Settings
from tests.accounts import with_account
from tests.facade import PUBLIC
from tests.forms import follow, form_of, sign_in, submit
from tests.wearables import ALEX, World

PASSWORD = "correct horse battery"
MOST_LOOKS = 60
"""So often an answer is waited for that comes after two seconds, as long as the synchronisation goes on."""


@pytest.fixture
async def browser(world: World, tmp_path: Path):
    app = create_app(Settings(data_dir=tmp_path, public_url=PUBLIC), world.ports)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC) as opened:
        yield opened
    await app.close()


@pytest.mark.both_stores
async def test_a_person_connects_a_wearable_sees_what_it_means_and_disconnects(world: World, browser) -> None:
    await with_account(world.ports, NewAccount("ann", "patient", PASSWORD, patient_id="p1"))
    home = await follow(browser, await sign_in(browser, await browser.get("/login"), "ann", PASSWORD))

    away = await submit(browser, home, "/connections")
    redirect = await world.click(away.headers["location"], ALEX)
    page = await follow(browser, await browser.get("/api/v1/connections/callback", params=redirect))
    address = page.url.path
    form = form_of(page, f"{address}/sync").fields()
    for _ in range(MOST_LOOKS):
        read = await browser.post(f"{address}/sync", data=form)
        if read.headers["location"] != address:
            break
    seen = await follow(browser, read)
    question = await browser.get(f"{address}/disconnect")
    gone = await follow(browser, await submit(browser, question, f"{address}/disconnect"))

    assert read.headers["location"] == "/?done=read"
    assert "Steps" in seen.text
    assert "of 100" in seen.text
    assert "Everything that was read stays in your record" in gone.text
    assert "Connect Google Health" in gone.text


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Some of what Google Health sent last could not be read and was left out: Respiratory rate (1)."),
        ("de", "konnte nicht gelesen werden und wurde ausgelassen: Atemfrequenz (1)."),
    ],
)
async def test_the_page_of_a_wearable_says_what_could_not_be_read_until_it_can(world, browser, language, said) -> None:
    await with_account(world.ports, NewAccount("ann", "patient", PASSWORD, patient_id="p1"))
    browser.headers["Accept-Language"] = language
    await follow(browser, await sign_in(browser, await browser.get("/login"), "ann", PASSWORD))
    connection = await world.connect()
    await world.sync(connection)
    days = [each.get("effectiveDateTime", "") for each in (await world.observations()).values() if _is_rate(each)]
    await world.fault(kind="correct", account=ALEX, where="daily-respiratory-rate", date=max(days), factor=-1)

    pages = [await browser.get(f"/connections/{connection.id}")]
    await world.sync(connection)
    pages.append(await browser.get(f"/connections/{connection.id}"))
    await world.calm()
    await world.sync(connection)
    pages.append(await browser.get(f"/connections/{connection.id}"))

    assert [said in page.text for page in pages] == [False, True, False]


def _is_rate(observation: dict[str, Any]) -> bool:
    return "|daily-respiratory-rate|" in observation["identifier"][0]["value"]
