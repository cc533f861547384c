"""Texts that parsers stumble over, and how they come into an address, a form or a header."""

from __future__ import annotations

from typing import Any, Final, TypeVar
from urllib.parse import quote

from hypothesis import strategies as st

from tests.fuzz.seeds import PLACES

Texts = st.SearchStrategy[str]
T = TypeVar("T")

NASTY: Final = (
    *(
        "",
        " ",
        "\x00",
        "\t",
        "\r\nX-Injected: 1",
        "\ufeff",
        "\ud800",
        "\udfff\ud800",
        "\u202e",
        "\u0130",
        "ß",
        "İ",
        "e\u0301",
        "😀",
    ),
    *(
        "0",
        "-0",
        "+1",
        "1e400",
        "-1e-400",
        "1e999999999",
        "9" * 400,
        "NaN",
        "Infinity",
        "-inf",
        "0x10",
        "1_000",
        "٣",
        "²",
        "1.",
        ".5",
    ),
    *(
        "2020",
        "2020-02-30",
        "2020-13",
        "0000",
        "0000-00-00",
        "10000-01-01",
        "9999-12-31T23:59:60Z",
        "0001-01-01T00:00:00+14:00",
    ),
    *(
        "2020-01-01T25:00",
        "2020-01-01T24:00:00Z",
        "2020-01-01T00:00:00.123456789012345678901Z",
        "9999-12-31T23:59:59-14:00",
        "--01-01",
    ),
    *(
        "true",
        "false",
        "TRUE",
        "null",
        "None",
        "undefined",
        "[]",
        "{}",
        "{0}",
        "%s%n",
        "${7*7}",
        "{{7*7}}",
        "\\",
        "'",
        '"',
        "`",
        ";",
    ),
    *(
        "' OR '1'='1",
        "%",
        "_",
        "%25",
        "%00",
        "*",
        "?",
        "[a-",
        "(",
        "a" * 70,
        "a" * 9000,
        "AND OR NOT",
        "NEAR(a b)",
        '"',
        "^a",
        "a*",
        "-a",
    ),
    *(
        "../..",
        "/",
        "//",
        ".",
        "..",
        "Patient/",
        "Patient/anna/_history/1",
        "Patient/anna/_history/",
        "#",
        "#a",
        "urn:uuid:x",
        "urn:oid:",
    ),
    *(
        "http://",
        "https://[::1",
        "http://[bad]/fhir/Patient/anna",
        "ftp://x",
        "javascript:1",
        "http://a/\x00",
        "http://localhost:99999/fhir/Patient/1",
    ),
    *(
        "|",
        "||",
        "|a",
        "a|",
        "http://loinc.org|8867-4",
        "http://unitsofmeasure.org|",
        ",",
        ",,",
        "$",
        "$$",
        "\\,",
        "\\|",
        "\\$",
        "a\\",
    ),
    *(
        "eq",
        "ge",
        "lt2020",
        "ne",
        "ap",
        "sa",
        "eb5",
        "5.4|http://unitsofmeasure.org|g",
        "48.4|13.4|10|km",
        "48.4|x",
        "-91|181",
        "*:*",
    ),
)
"""Not one of these may be more than refused."""

PARTS: Final = st.sampled_from((*NASTY, *PLACES))


def anything(most: int = 20) -> Texts:
    """Any text, with lone surrogates and control characters."""
    return st.text(st.characters(codec=None), max_size=most)


VALUES: Final[Texts] = st.one_of(PARTS, st.lists(PARTS, min_size=2, max_size=4).map("".join), anything())


def mostly(usual: st.SearchStrategy[T], other: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """The other one now and then: what is wrong everywhere is refused at the first look."""
    return st.integers(0, 9).flatmap(lambda number: other if number == 4 else usual)


def seldom(draw: st.DrawFn) -> bool:
    return draw(st.integers(0, 9)) == 4


def in_address(text: str) -> str:
    """Percent-encoded; a lone surrogate as the three bytes that no UTF-8 has."""
    return quote(text, safe="", errors="surrogatepass")


def query(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{in_address(name)}={in_address(value)}" for name, value in pairs)


def in_header(text: str) -> str:
    """As much of it as a header line can hold."""
    kept = text.encode("utf-8", "surrogatepass").decode("latin-1")
    return "".join(char for char in kept if char not in "\r\n\x00")[:6000]


HEADER_TEXTS: Final[Texts] = VALUES.map(in_header)

LEAVES: Final[st.SearchStrategy[Any]] = st.one_of(
    st.sampled_from(
        (None, True, False, 0, -1, 2**31, 2**63, 2**64, 10**400, 0.1, 1e308, "", [], {}, [None], [[]], {"": 0})
    ),
    VALUES,
)
JSON: Final[st.SearchStrategy[Any]] = st.one_of(
    LEAVES, st.lists(LEAVES, max_size=3), st.dictionaries(VALUES, LEAVES, max_size=3)
)


def words(text: str) -> Texts:
    return st.sampled_from(text.split())
