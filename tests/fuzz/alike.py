"""Whether a facade on each store answered alike: the same status, resources in order, total, modes and codes of issues.

What each server makes by itself (ids, moments, page links, its address) is taken out first, and so is what
docs/stores-compared.md leaves to HAPI: the sentences of errors, the order of tags and profiles, what HAPI does not keep
of a tag, how a number was written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from tests.fuzz.wire import GIVEN_UP, Answer

_MADE_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{48}")
_MOMENT: Final = re.compile(r"20[2-9]\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(?:Z|[+-]\d\d:\d\d)")
_BASE: Final = re.compile(r"http://127\.0\.0\.1:\d+")
_PAGE: Final = re.compile(r"_page=[\w-]+")
_HEADERS: Final = ("content-type", "etag", "location", "content-location", "allow", "accept-patch")
_LATER: Final = re.compile(r'(W/"|_history/)(?!1\b)\d+')
"""Versions behind the first: HAPI leaves a number out when what was deleted comes back."""
_OWN_MOMENTS: Final = frozenset(("lastUpdated", "lastModified", "timestamp", "recorded"))


def differences(one: Answer, other: Answer) -> list[str]:
    """Where the answers differ, in words that are the same for many requests; none where one of them was not awaited."""
    if GIVEN_UP in (one.status, other.status):
        return []
    if one.status != other.status:
        return [f"differs: {one.status} on SQLite, {other.status} over HAPI"]
    told = [
        f"differs: the header {name}"
        for name in _HEADERS
        if _plain(one.headers.get(name, ""), {}) != _plain(other.headers.get(name, ""), {})
    ]
    return told + [f"differs: {where}" for where in _of_documents(one, other)]


def _of_documents(one: Answer, other: Answer) -> list[str]:
    try:
        first, second = (_read(answer.body) for answer in (one, other))
    except ValueError:
        return [] if one.body == other.body else ["the body"]
    return list(dict.fromkeys(_places(first, second, "")))


def _read(body: bytes) -> Any:
    """The document with what a server makes replaced by words that say which of them it is."""
    ids: dict[str, str] = {}
    return _without(json.loads(body, parse_float=Decimal, parse_int=Decimal), "", ids)


def _without(node: Any, name: str, ids: dict[str, str]) -> Any:
    if isinstance(node, dict):
        kind = node.get("resourceType")
        if kind == "OperationOutcome":
            node = {"issue": [_issue(each) for each in node.get("issue", ())]}
        if kind == "Bundle":
            node = {key: value for key, value in node.items() if key not in ("id", "meta")}
            node |= {"entry": _in_turn(node)} if node.get("type") == "history" and "entry" in node else {}
        if name in ("meta", "valueMeta"):
            node = {key: _gathered(value) if isinstance(value, list) else value for key, value in node.items()}
            node = {key: value for key, value in node.items() if value and key != "id"}
        return {key: _without(node[key], key, ids) for key in sorted(node)}
    if isinstance(node, list):
        return [_without(each, name, ids) for each in node]
    if isinstance(node, str):
        if name == "versionId":
            return node if node == "1" else "later"
        return "a moment" if name in _OWN_MOMENTS and _MOMENT.fullmatch(node) else _plain(node, ids)
    return node


def _in_turn(history: dict[str, Any]) -> list[Any]:
    """Of one moment by their types: which of them was first is nobody's to say, nor which are on the next page."""
    groups = [list(group) for _, group in groupby(history["entry"], lambda entry: entry["response"]["lastModified"])]
    whole = groups if all(link["relation"] != "next" for link in history["link"]) else groups[:-1]
    return [one for group in whole for one in sorted(group, key=lambda entry: str(entry["fullUrl"].split("/")[-2]))]


def _gathered(found: list[Any]) -> list[str]:
    """Profiles, tags and labels as the set that they are. HAPI keeps no tag without a system and a code."""
    told = {f"{one.get('system', '')}|{one.get('code', '')}" if isinstance(one, dict) else str(one) for one in found}
    return sorted(told - {"|"})


def _issue(issue: Any) -> Any:
    return {key: value for key, value in issue.items() if key in ("severity", "code", "expression")}


def _plain(text: str, ids: dict[str, str]) -> str:
    text = _LATER.sub(r"\1later", _PAGE.sub("_page=…", _BASE.sub("", text)))
    return _MADE_ID.sub(lambda found: ids.setdefault(found[0], f"id {len(ids)}"), text)


def _places(one: Any, other: Any, where: str) -> Iterator[str]:
    """Where two documents differ, as a path without positions."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from _places(one.get(key), other.get(key), f"{where}.{key}".lstrip("."))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for first, second in zip(one, other, strict=True):
            yield from _places(first, second, where)
    elif one != other:
        yield where or "the whole"
