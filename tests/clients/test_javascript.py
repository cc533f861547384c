"""fhir-kit-client and fhirclient.js under Node, as their readmes use them; the stories are in `node/*.test.mjs`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.clients.conftest import HERE, Site, run_node

STORY = re.compile(r'^test\("(.+)", ', re.MULTILINE)
STORIES = {path: STORY.findall(path.read_text()) for path in sorted((HERE / "node").glob("*.test.mjs"))}


@pytest.fixture(scope="module")
def outcomes(site: Site, scripts: Path) -> Callable[[str], dict[str, str | None]]:
    """What came of each story of a file, which runs once on each store."""

    @cache
    def told(name: str) -> dict[str, str | None]:
        words = ["--test-reporter=./results.mjs", name]
        lines = run_node(scripts, words, FHIR_BASE=site.fhir, FHIR_TOKEN=site.token).splitlines()
        return {each["name"]: each["error"] for each in map(json.loads, lines)}

    return told


@pytest.mark.parametrize(
    ("file", "story"),
    [
        pytest.param(path, story, id=f"{path.name.split('.')[0]}: {story}")
        for path, stories in STORIES.items()
        for story in stories
    ],
)
def test_the_client_does_as_its_readme_says(
    file: Path, story: str, outcomes: Callable[[str], dict[str, str | None]]
) -> None:
    error = outcomes(file.name)[story]

    assert error is None, error
