"""Everything this server knows of code systems and value sets: the project's own, those that R4 requires, UCUM's table.

    known("CodeSystem") -> resources by url
    known_by_id("ValueSet") -> resources by id

https://hl7.org/fhir/R4/terminologies.html; loaded on first use.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from terminology import ucum
from terminology.canonical import UCUM
from terminology.codes import resources

Resource = Mapping[str, Any]


@cache
def _published() -> Mapping[str, list[Resource]]:
    packed = (files("terminology") / "r4.json.gz").read_bytes()
    loaded: Mapping[str, list[Resource]] = msgspec.json.decode(gzip.decompress(packed))
    return loaded


@cache
def known(kind: str) -> Mapping[str, Resource]:
    """The resources of a kind by url; what the project itself ships counts before what R4 has."""
    found = {one["url"]: one for one in _published()[kind]}
    if kind == "CodeSystem":
        found[UCUM] = _units()
    return {**found, **resources(kind)}


@cache
def known_by_id(kind: str) -> Mapping[str, Resource]:
    return {one["id"]: one for one in known(kind).values()}


def _units() -> Resource:
    """The units of the closed table; UCUM itself has a grammar and no end, so this is a fragment."""
    concepts = [{"code": code, "display": ucum.printed(code)} for code in ucum.table()]
    head = {"resourceType": "CodeSystem", "id": "ucum", "url": UCUM, "name": "UCUM", "status": "active"}
    return head | {"caseSensitive": True, "content": "fragment", "concept": concepts}
