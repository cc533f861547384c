"""fhir-kit-client and fhirclient.js under Node, as their readmes use them; the stories are in `node/*.test.mjs`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.clients.conftest import HERE, Site, run_node

STORY = re.compile(r'^test\("(.+)", ', re.MULTILINE)
STORIES = {path: STORY.findall(path.read_text()) for path in sorted((HERE / "node").glob("*.test.mjs"))}
_outcomes: dict[tuple[str, str], dict[str, str | None]] = {}


@pytest.fixture
def outcomes(request: pytest.FixtureRequest, site: Site, scripts: Path) -> dict[str, str | None]:
    """What came of each story of a file, which runs once on each store."""
    name = request.getfixturevalue("file").name
    if (name, site.fhir) not in _outcomes:
        words = ["--test-reporter=./results.mjs", name]
        lines = run_node(scripts, words, FHIR_BASE=site.fhir, FHIR_TOKEN=site.token).splitlines()
        told = [json.loads(line) for line in lines]
        _outcomes[name, site.fhir] = {each["name"]: each["error"] for each in told}
    return _outcomes[name, site.fhir]


@pytest.mark.parametrize(
    ("file", "story"),
    [
        pytest.param(path, story, id=f"{path.name.split('.')[0]}: {story}")
        for path, stories in STORIES.items()
        for story in stories
    ],
)
def test_the_client_does_as_its_readme_says(file: Path, story: str, outcomes: dict[str, str | None]) -> None:
    assert outcomes[story] is None, outcomes[story]
