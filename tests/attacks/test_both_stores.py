"""The catalogue itself: each attack runs on both stores, or says why that would show nothing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

FILES = sorted(Path(__file__).parent.glob("test_*.py"))
REASONS = ("No store takes part", "Only HAPI")


def attacks(path: Path) -> list[tuple[str, bool]]:
    """The tests of a file, and whether each does as it should."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    both = _both_stores(module) or _says_why(module)
    shared = _on_both_stores(module)
    functions = [each for each in module.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    tests = [each for each in functions if each.name.startswith("test_")]
    return [
        (each.name, both or _says_why(each) or _marked(each) or not shared.isdisjoint(_asked(each))) for each in tests
    ]


def _both_stores(module: ast.Module) -> bool:
    """The file is marked as a whole."""
    assigned = [each for each in module.body if isinstance(each, ast.Assign)]
    return any("both_stores" in ast.unparse(each) and "pytestmark" in ast.unparse(each.targets[0]) for each in assigned)


def _on_both_stores(module: ast.Module) -> set[str]:
    """The fixtures of the file itself that are opened on each of the stores."""
    functions = [each for each in module.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {each.name for each in functions if any("params=STORES" in ast.unparse(by) for by in each.decorator_list)}


def _says_why(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(reason in " ".join((ast.get_docstring(node) or "").split()) for reason in REASONS)


def _marked(test: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("both_stores" in ast.unparse(each) for each in test.decorator_list)


def _asked(test: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    return {each.arg for each in test.args.args}


@pytest.mark.parametrize("path", [path for path in FILES if path != Path(__file__)], ids=lambda path: path.stem)
def test_each_attack_runs_on_both_stores_or_says_that_none_takes_part(path: Path) -> None:
    """No store takes part: the attacks are only read."""
    found = attacks(path)

    assert found
    assert [name for name, fits in found if not fits] == []


def test_an_attack_on_one_store_alone_is_found(tmp_path: Path) -> None:
    """No store takes part either."""
    written = tmp_path / "test_x.py"
    fixture = "@fixture(scope='module', params=STORES)\nasync def hospital(request): ...\n"
    tests = "async def test_alone(ward): ...\nasync def test_both(hospital): ...\n"
    written.write_text(fixture + tests, encoding="utf-8")

    assert attacks(written) == [("test_alone", False), ("test_both", True)]
