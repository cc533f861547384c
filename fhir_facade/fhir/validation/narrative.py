"""The XHTML of a narrative: a closed list of elements and attributes, well formed, nothing that acts.

https://hl7.org/fhir/R4/narrative.html#xhtml
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from html.entities import name2codepoint
from typing import Any
from xml.parsers.expat import ExpatError, ParserCreate

XHTML = "http://www.w3.org/1999/xhtml"
MAX_LEVELS = 500
"""Of elements in elements: readers of XML have an end, HAPI's at 1,000."""
LINKING = ("href", "src", "cite", "longdesc")

ELEMENTS = frozenset(
    (
        *("a", "abbr", "acronym", "b", "big", "blockquote", "br", "caption", "cite", "code", "col", "colgroup", "dd"),
        *("dfn", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "li", "ol", "p", "pre"),
        *("q", "samp", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr"),
        *("tt", "ul", "var"),
    )
)
ATTRIBUTES = frozenset(
    (
        *("abbr", "accesskey", "align", "alt", "axis", "bgcolor", "border", "cellhalign", "cellpadding", "cellspacing"),
        *("cellvalign", "char", "charoff", "charset", "cite", "class", "colspan", "compact", "coords", "dir", "frame"),
        *("headers", "height", "href", "hreflang", "hspace", "id", "lang", "longdesc", "name", "nowrap", "rel", "rev"),
        *(
            "rowspan",
            "rules",
            "scope",
            "shape",
            "span",
            "src",
            "start",
            "style",
            "summary",
            "tabindex",
            "title",
            "type",
        ),
        *("valign", "value", "vspace", "width", "xml:lang", "xml:space", "xmlns"),
    )
)
_LINK = re.compile(r"^(?:https?:|mailto:|tel:|urn:|data:image/(?:png|jpe?g|gif);|[^:]*$|[^:]*[/?#])", re.IGNORECASE)


_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_OF_XML = frozenset(("amp", "lt", "gt", "quot", "apos"))


@dataclass(slots=True)
class _Found:
    allowed: bool = True
    content: bool = False
    begun: bool = False
    level: int = 0

    def look(self, name: str, attributes: Mapping[str, str]) -> None:
        self.content = self.content or name == "img"
        known = name in ELEMENTS and ATTRIBUTES.issuperset(attributes)
        known = known and attributes.get("xmlns", XHTML if self.begun else None) == XHTML
        self.begun = True
        safe = all(_LINK.match(attributes[place]) for place in LINKING if place in attributes)
        self.level += 1
        self.allowed = self.allowed and known and safe and self.level <= MAX_LEVELS

    def leave(self, _: str) -> None:
        self.level -= 1

    def read(self, text: str) -> None:
        self.content = self.content or not text.isspace()

    def refuse(self, *_: object) -> None:
        self.allowed = False


@lru_cache(maxsize=4)
def _looked_at(div: str) -> _Found:
    """One reading for both rules."""
    found, parser = _Found(), ParserCreate()
    parser.StartElementHandler = found.look
    parser.EndElementHandler = found.leave
    parser.CharacterDataHandler = found.read
    parser.StartDoctypeDeclHandler = parser.ProcessingInstructionHandler = found.refuse
    parser.StartCdataSectionHandler = found.refuse
    try:
        parser.Parse(_ENTITY.sub(_character, div), True)
    except (ExpatError, UnicodeEncodeError):
        return _Found(allowed=False, content=True)
    return found


def _character(entity: re.Match[str]) -> str:
    """An entity of HTML as XML knows it; others stay, and are refused."""
    point = None if entity[1] in _OF_XML else name2codepoint.get(entity[1])
    return entity[0] if point is None else f"&#{point};"


def faults_of_xhtml(narrative: Mapping[str, Any]) -> tuple[str, ...]:
    """(".div",) when something of the XHTML is not allowed, not well formed or not XHTML by its namespace; else ()."""
    div = narrative.get("div")
    return () if div is None or _looked_at(div).allowed else (".div",)


def faults_of_content(narrative: Mapping[str, Any]) -> tuple[str, ...]:
    """(".div",) when there is nothing to read or to see; else ()."""
    div = narrative.get("div")
    return () if div is None or _looked_at(div).content else (".div",)
