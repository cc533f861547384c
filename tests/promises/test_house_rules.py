"""The rules of the house, executed: what a reviewer would otherwise have to remember."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_facade.settings import Settings

ROOT = Path(__file__).parents[2]
PACKAGES = ("fhir_facade", "mappers", "terminology", "profiles")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
SOURCES_OF_TESTS = sorted((ROOT / "tests").rglob("*.py"))

VAGUE = frozenset({"utils", "util", "helpers", "helper", "common", "manager", "base", "misc", "tools", "stuff"})
LAST_LINES = frozenset(
    {
        "fhir_facade/api/fhir.py",  # the last line of a FHIR call: a defect answers with its id
        "fhir_facade/interactions/batch.py",  # the last line of an entry: others may have been answered already
        "fhir_facade/api/web.py",  # the last line of every other call
        "fhir_facade/flows/alongside.py",  # the last line of work nobody waits for: it is logged and tried again
        "fhir_facade/cli/workers.py",  # the last line of a worker process: its end is all that follows
        "fhir_facade/adapters/sqlite_jobs.py",  # the writer thread hands every error to the caller that gave the work
    }
)
"""Where any exception may be caught without being raised again."""

# Written in two halves, so that this file does not contain what it forbids.
FORBIDDEN = {
    "a path of one machine": [
        r"(?<![\w.])/wo" + r"rk/",
        r"(?<![\w.])/ro" + r"ot/",
        r"/ho" + r"me/[a-z]",
        r"(?<![\w.])/tm" + r"p/\w",
    ],
    "the host of a package registry": [
        r"pyp" + r"i\.org",
        r"python" + r"hosted\.org",
        r"registry\.npm" + r"js",
        r"repo1?\.maven",
        r"proxy\.gol" + r"ang",
        r"crat" + r"es\.io",
    ],
    "the name of a tool that wrote it": [
        r"\bcla" + r"ude\b",
        r"\banth" + r"ropic\b",
        r"\bchat" + r"gpt\b",
        r"\bcopi" + r"lot\b",
    ],
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tracked() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no list of tracked files")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def words(path: Path) -> str | None:
    """The text of a file; None when it is binary."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def catch_alls(path: Path) -> Iterator[int]:
    """Lines of handlers that catch everything and do not raise it again."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _raises_again(node):
            yield node.lineno


def _is_broad(caught: ast.expr | None) -> bool:
    names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(
        name is None or (isinstance(name, ast.Name) and name.id in ("Exception", "BaseException")) for name in names
    )


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_the_rooms_import_each_other_one_way() -> None:
    lint = Path(sys.executable).with_name("lint-imports")

    told = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert told.returncode == 0, told.stdout + told.stderr


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert not [relative(path) for path in SOURCES if path.stem.strip("_") in VAGUE or path.parent.name in VAGUE]


def test_the_place_where_everything_is_joined_stays_short() -> None:
    assert len((ROOT / "fhir_facade" / "app.py").read_text(encoding="utf-8").splitlines()) < 200


def test_only_last_lines_catch_everything() -> None:
    found = [f"{relative(path)}:{line}" for path in SOURCES for line in catch_alls(path)]

    assert not [place for place in found if place.rpartition(":")[0] not in LAST_LINES]


def test_every_place_that_may_catch_everything_exists_and_does() -> None:
    assert {name for name in LAST_LINES if any(catch_alls(ROOT / name))} == LAST_LINES


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("try:\n    f()\nexcept Exception:\n    pass\n", [3]),
        ("try:\n    f()\nexcept:\n    pass\n", [3]),
        ("try:\n    f()\nexcept (ValueError, BaseException):\n    pass\n", [3]),
        ("try:\n    f()\nexcept Exception:\n    g()\n    raise\n", []),
        ("try:\n    f()\nexcept ValueError:\n    pass\n", []),
    ],
)
def test_the_search_for_catch_alls_finds_them(tmp_path: Path, source: str, lines: list[int]) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)

    assert list(catch_alls(path)) == lines


@pytest.mark.parametrize("room", ["settings.py"])
def test_one_file_reads_the_environment(room: str) -> None:
    reading = [
        relative(path) for path in SOURCES if re.search(r"\bos\.(environ|getenv)\b", path.read_text(encoding="utf-8"))
    ]

    assert not [name for name in reading if name != f"fhir_facade/{room}"]


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_says_in_a_sentence_what_it_does(name: str) -> None:
    description = Settings.model_fields[name].description or ""

    assert description.endswith("."), name


def test_the_page_of_settings_names_them_all() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")

    assert not [name for name in Settings.model_fields if f"FHIR_FACADE_{name.upper()}" not in text]


@pytest.mark.parametrize("what", sorted(FORBIDDEN))
def test_no_tracked_file_contains(what: str) -> None:
    pattern = re.compile("|".join(FORBIDDEN[what]), re.IGNORECASE)
    found = [relative(path) for path in tracked() if (text := words(path)) is not None and pattern.search(text)]

    assert not found


def test_a_test_with_a_browser_waits_for_what_it_expects() -> None:
    """Playwright's `is_visible` and its kin answer at once, `expect` waits: a page may be on its way after a click.
    https://playwright.dev/python/docs/test-assertions"""
    at_once = re.compile(r"^ *assert .*(\.(is_[a-z]+|count|inner_text|text_content)\(\)|page\.url\b)", re.MULTILINE)
    browsing = [path for path in SOURCES_OF_TESTS if "playwright" in path.read_text(encoding="utf-8")]

    assert len(browsing) > 1, "this file alone"
    assert not [
        f"{relative(path)}: {found[0]}"
        for path in browsing
        for found in at_once.finditer(path.read_text(encoding="utf-8"))
    ]
