"""Orders that HAPI does not know: by tags, labels, profiles and sources, which are in no index that it sorts by.

The finds are sorted here: by these keys as on the embedded store, and by all others as HAPI says, which is asked for
them by their ids. https://hl7.org/fhir/R4/search.html#sort
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import groupby
from typing import Final

import msgspec

from fhir_facade.adapters.hapi.query import UNINDEXED_META
from fhir_facade.fhir.extract import extract_parameter
from fhir_facade.values import JsonObject, Sort, StoredResource

Part = tuple[bool, str]
Run = tuple[Sort, ...]
Sorted = Callable[[Run], Awaitable[list[str]]]
"""The ids of the finds as HAPI orders them by these keys."""

_BY_ID: Final = Sort("_id", "token")
_BY_ID_BACKWARDS: Final = Sort("_id", "token", descending=True)


def is_unknown(sort: Sequence[Sort]) -> bool:
    """Whether HAPI does not know the whole of the order."""
    return any(key.name in UNINDEXED_META for key in sort)


async def in_order(found: Sequence[StoredResource], sort: Sequence[Sort], by: Sorted) -> list[StoredResource]:
    """The finds by all keys, and then by their ids. What HAPI does not find any more is left out."""
    entries = list(found)
    for run in reversed(_runs(sort)):
        if run[0].name in UNINDEXED_META:
            entries = _by_meta(entries, run[0])
        else:
            places = await _places(run, by)
            entries = sorted((one for one in entries if one.id in places), key=lambda one: places[one.id])
    return entries


def _runs(sort: Sequence[Sort]) -> list[Run]:
    """The keys that decide, the id at last: each that HAPI does not know by itself, the others as they follow each
    other. What is named again, or behind the id, decides nothing."""
    keys: dict[str, Sort] = {}
    for key in (*sort, _BY_ID):
        if _BY_ID.name not in keys:
            keys.setdefault(key.name, key)
    groups = groupby(enumerate(keys.values()), lambda own: own[0] if own[1].name in UNINDEXED_META else -1)
    return [tuple(key for _, key in own) for _, own in groups]


async def _places(run: Run, by: Sorted) -> Mapping[str, int]:
    """The place of each id; the same one for those that are tied. They stand in another order among themselves, between
    the same others, when ties are by the id backwards."""
    if run[-1].name == _BY_ID.name:
        return {id_: number for number, id_ in enumerate(await by(run))}
    forwards, backwards = await by((*run, _BY_ID)), await by((*run, _BY_ID_BACKWARDS))
    still = set(forwards).intersection(backwards)
    return _tied([id_ for id_ in forwards if id_ in still], [id_ for id_ in backwards if id_ in still])


def _tied(forwards: Sequence[str], backwards: Sequence[str]) -> Mapping[str, int]:
    places: dict[str, int] = {}
    apart: set[str] = set()  # those that one of the two has shown so far
    begin = 0
    for end, both in enumerate(zip(forwards, backwards, strict=True), 1):
        apart.symmetric_difference_update((both[0],))
        apart.symmetric_difference_update((both[1],))
        if not apart:
            places |= dict.fromkeys(forwards[begin:end], begin)
            begin = end
    return places


def _by_meta(entries: Sequence[StoredResource], key: Sort) -> list[StoredResource]:
    """What has no value comes last in both directions."""
    keyed = [(_value(msgspec.json.decode(entry.body), key), entry) for entry in entries]
    there = sorted((own for own in keyed if own[0]), key=lambda own: own[0], reverse=key.descending)
    return [entry for _, entry in there] + [entry for value, entry in keyed if not value]


def _value(resource: JsonObject, key: Sort) -> tuple[Part, ...]:
    """Of several values the least one, or descending the greatest; of codes first their systems, then the codes."""
    rows = extract_parameter(resource, key.name)
    coded = [(row.system, row.code) for row in rows.tokens]
    values: Sequence[tuple[str | None, ...]] = coded if key.kind == "token" else [(row.uri,) for row in rows.uris]
    decisive = max if key.descending else min
    return tuple(decisive(_part(text, key) for text in texts) for texts in zip(*values, strict=True))


def _part(text: str | None, key: Sort) -> Part:
    """What is there comes before what is not."""
    return bool(text) is key.descending, text or ""
