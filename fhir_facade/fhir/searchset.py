"""A page of search results as who asked for it reads it: the resources, and how the next page is asked for.

https://hl7.org/fhir/R4/http.html#paging
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import msgspec


class _Link(msgspec.Struct):
    relation: str
    url: str


class _Entry(msgspec.Struct):
    resource: msgspec.Raw


class _Searchset(msgspec.Struct):
    link: list[_Link] = []
    entry: list[_Entry] = []


_DECODER = msgspec.json.Decoder(_Searchset)


@dataclass(frozen=True, slots=True)
class ResultPage:
    """`resources` are JSON, matches and what was included with them; `following` are the parameters of the next page,
    none on the last one."""

    resources: tuple[bytes, ...]
    following: tuple[tuple[str, str], ...]


def read_searchset(body: bytes) -> ResultPage:
    """What `searchset` of `bundle.py` put together."""
    found = _DECODER.decode(body)
    address = next((link.url for link in found.link if link.relation == "next"), "")
    return ResultPage(tuple(bytes(entry.resource) for entry in found.entry), tuple(parse_qsl(urlsplit(address).query)))
