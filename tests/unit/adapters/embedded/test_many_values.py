"""Searches with more values than an SQL statement has room for (https://www.sqlite.org/limits.html)."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_facade.adapters.embedded import EmbeddedStore
from fhir_facade.adapters.sqlite_file import SqliteFile
from fhir_facade.adapters.system_clock import SystemClock
from fhir_facade.errors import TooLarge
from fhir_facade.fhir.query import parse_query
from fhir_facade.values import Page
from tests.facade import unused_file
from tests.unit.adapters.embedded.corner import NOW


async def find(folder: Path, name: str, values: list[str], *, times: int) -> Page:
    path = folder / "facade.sqlite"
    path.write_bytes(await unused_file())
    file = SqliteFile(path)
    file.open()
    try:
        store = EmbeddedStore(file, SystemClock())
        store.start()
        return await store.search(parse_query("Patient", [(name, ",".join(values))] * times, now=NOW).query)
    finally:
        file.close()


@pytest.mark.parametrize("name", ["name", "organization.name", "identifier"])
async def test_a_search_with_too_many_values_says_so(tmp_path: Path, name: str) -> None:
    with pytest.raises(TooLarge, match="ask for some of them"):
        await find(tmp_path, name, [f"value{number}" for number in range(500)], times=45)


async def test_many_codes_of_a_system_are_no_deeper_than_one(tmp_path: Path) -> None:
    codes = [f"urn:s|{number}" for number in range(500)]

    assert (await find(tmp_path, "identifier", codes, times=45)).entries == []
