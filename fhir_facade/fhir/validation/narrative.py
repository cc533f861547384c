"""The XHTML of a narrative: a closed list of elements and attributes, well formed, nothing that acts.

https://hl7.org/fhir/R4/narrative.html#xhtml
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import Any

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


class _Reader(HTMLParser):
    """Collects whether a narrative is allowed, well formed and not empty."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.allowed = True
        self.content = False
        self.roots = 0

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self._look(tag, attrs)
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self._look(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.allowed = False

    def handle_data(self, data: str) -> None:
        self.content = self.content or bool(data.strip())
        if not self.open and data.strip():
            self.allowed = False

    def handle_decl(self, decl: str) -> None:
        self.allowed = False

    def unknown_decl(self, data: str) -> None:
        self.allowed = False

    def handle_pi(self, data: str) -> None:
        self.allowed = False

    def _look(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.content = self.content or tag == "img"
        self.roots += not self.open
        known = tag in ELEMENTS and all(name in ATTRIBUTES and value is not None for name, value in attrs)
        safe = all(_LINK.match(value or "") for name, value in attrs if name in ("href", "src", "cite", "longdesc"))
        self.allowed = self.allowed and known and safe


def faults_of_narrative(narrative: Mapping[str, Any]) -> tuple[str, ...]:
    """(".div",) when the XHTML is not allowed, not well formed or empty; else ()."""
    reader = _Reader()
    reader.feed(narrative["div"])
    reader.close()
    well_formed = reader.roots == 1 and not reader.open
    return () if reader.allowed and reader.content and well_formed else (".div",)
