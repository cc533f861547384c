"""How many bytes a page may have: what does not fit any more is behind the next link.

https://hl7.org/fhir/R4/http.html#paging: a page may be shorter than `_count`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from fhir_facade.values import StoredResource


def bytes_of(entries: Iterable[StoredResource]) -> int:
    return sum(len(entry.body) for entry in entries)


def fitting(entries: Sequence[StoredResource], most: int) -> int:
    """How many of the first entries fit on a page; the first one always does."""
    sizes = accumulate(len(entry.body) for entry in entries)
    return max(sum(1 for size in sizes if size <= most), min(1, len(entries)))
