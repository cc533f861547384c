"""Bodies as they should not be, and the headers around them: create, update, delete and their conditional forms."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any, Final

from hypothesis import strategies as st

from tests.fuzz.resources import ODD, RESOURCES, TYPES
from tests.fuzz.searches import pairs
from tests.fuzz.seeds import PLACES, SEEDS
from tests.fuzz.stage import WHO
from tests.fuzz.values import HEADER_TEXTS, VALUES, in_address, mostly, query, seldom, words
from tests.fuzz.wire import Request

FHIR: Final = ("Content-Type", "application/fhir+json")
_KINDS: Final = st.one_of(
    st.sampled_from(
        (
            *(
                "application/fhir+json",
                "application/json",
                "application/json-patch+json",
                "application/merge-patch+json",
                "text/json",
            ),
            *(
                "application/fhir+json; charset=utf-8",
                "application/fhir+json;charset=latin-1",
                "application/fhir+json;charset=utf-16",
            ),
            *(
                "application/fhir+xml",
                "text/xml",
                "multipart/form-data; boundary=x",
                "application/x-www-form-urlencoded",
                "a",
                ";",
                "\xff",
                "",
            ),
        )
    ),
    HEADER_TEXTS,
)
_BOMB: Final = gzip.compress(b" " * 40_000_000)
_DEEP: Final = 50_000
_WRAPPINGS: Final = {
    "plain": lambda raw: raw,
    "bom": lambda raw: b"\xef\xbb\xbf" + raw,
    "utf-16": lambda raw: raw.decode("utf-8", "replace").encode("utf-16"),
    "twice": lambda raw: raw + raw,
    "cut": lambda raw: raw[: len(raw) * 2 // 3],
    "nul": lambda raw: raw + b"\x00",
    "bytes": lambda raw: raw.replace(b'"', b'"\xff', 3),
    "duplicate": lambda raw: raw.replace(b"{", b'{"id":"a","id":"b","resourceType":"Patient",', 1),
    "raw surrogate": lambda raw: raw.replace(b'"', b'"\xed\xa0\x80', 5),
    "exponent": lambda raw: raw.replace(b"72.5", b"1e999999999").replace(b"0.25", b"-0.0E-999999999"),
    "digits": lambda raw: raw.replace(b"72.5", b"7" * 5000).replace(b"0.25", b"0." + b"1" * 5000),
    "deep list": lambda raw: raw[:-1] + b',"x":' + b"[" * _DEEP + b"]" * _DEEP + b"}",
    "deep object": lambda raw: raw[:-1] + b',"x":' + b'{"x":' * _DEEP + b"1" + b"}" * _DEEP + b"}",
    "nested": lambda raw: raw[:-1] + b',"contained":[' * 200 + b"{}" + b"]}" * 200,
}
_PACKINGS: Final = {
    "gzip": gzip.compress,
    "cut gzip": lambda raw: gzip.compress(raw)[:-5],
    "gzip and more": lambda raw: gzip.compress(raw) + b"x",
    "gzip twice": lambda raw: gzip.compress(gzip.compress(raw)),
    "zlib": zlib.compress,
    "bomb": lambda _raw: _BOMB,
}


def encoded(document: Any) -> bytes:
    """JSON as Python writes it: lone surrogates escaped, NaN and Infinity as they are."""
    return json.dumps(document).encode()


@st.composite
def _bodies(draw: st.DrawFn, document: Any) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    """Bytes for a document and the headers that tell how they were packed, true or not."""
    raw = encoded(document)
    if seldom(draw):
        raw = _WRAPPINGS[draw(st.sampled_from(sorted(_WRAPPINGS)))](raw)
    if not seldom(draw):
        return raw, ()
    packed = _PACKINGS[draw(st.sampled_from(sorted(_PACKINGS)))](raw)
    return packed, (("Content-Encoding", draw(words("gzip gzip gzip deflate br x-gzip identity gzip,gzip GZIP"))),)


CONDITIONS: Final = st.one_of(VALUES, pairs("Patient").map(query), pairs("Observation").map(query)).map(
    lambda text: text if text.isascii() and text.isprintable() else in_address(text)
)
_VERSIONS: Final = st.one_of(
    words('W/"1" "1" 1 * W/"0" W/"999999999999999999999" W/"-1" W/1 "1","2" W/ ""'), HEADER_TEXTS
)
HEADERS: Final = st.dictionaries(words("If-Match If-None-Match"), _VERSIONS, max_size=2) | st.fixed_dictionaries(
    {},
    optional={
        "Prefer": words(
            "return=minimal return=representation return=OperationOutcome handling=lenient respond-async return= = ,;"
        )
        | HEADER_TEXTS,
        "Accept": words(
            "application/fhir+json application/fhir+xml */* text/html ; a/b;q=x application/json;fhirVersion=4.0"
        )
        | HEADER_TEXTS,
        "If-Modified-Since": st.just("Fri, 31 Dec 9999 23:59:59 -2359") | HEADER_TEXTS,
        "If-None-Exist": CONDITIONS | HEADER_TEXTS,
        "Range": words("bytes=0-1 bytes=- bytes=9-1 x") | HEADER_TEXTS,
        "Accept-Encoding": words("gzip gzip;q=0 br * ,") | HEADER_TEXTS,
        "Accept-Language": words("de en-US,*;q=x") | HEADER_TEXTS,
        "X-Request-ID": HEADER_TEXTS,
        "X-Forwarded-For": words("1.2.3.4 ::1 x,y 1.2.3.4:99999 [::1%25x] ,") | HEADER_TEXTS,
        "Authorization": words("Bearer Basic Basic\x20Og== Bearer\x20\xff bearer") | HEADER_TEXTS,
        "Cookie": words("fhir_facade= fhir_facade=x;fhir_facade=y =; \xff") | HEADER_TEXTS,
        "Origin": words("null https://app.example x") | HEADER_TEXTS,
        "Host": words("x evil.example:99999 [::1 \xff") | HEADER_TEXTS,
        "Connection": words("close keep-alive Upgrade x"),
        "Upgrade": words("websocket h2c x"),
        "Content-Length": words("-1 x 9999999999999999999999 1e3 +1"),
        "Expect": st.just("100-continue") | HEADER_TEXTS,
    },
)
_FEW_HEADERS: Final = mostly(st.just({}), HEADERS)


@st.composite
def headers_on_anything(draw: st.DrawFn) -> Request:
    """Every header, on requests that are right but for them."""
    method, target = (
        draw(words("GET HEAD GET PUT DELETE OPTIONS")),
        f"/fhir/{draw(st.sampled_from((*PLACES, *PLACES, 'Patient', 'metadata')))}",
    )
    body = encoded(draw(st.sampled_from(SEEDS))) if method == "PUT" else None
    given = (FHIR, *draw(HEADERS).items()) if body is not None else tuple(draw(HEADERS).items())
    return Request(method, target, draw(st.sampled_from(WHO)), given, body)


@st.composite
def sent(draw: st.DrawFn, method: str, target: str, document: Any, kind: str | None = None) -> Request:
    """A document on its way, mostly with the right headers."""
    body, packing = draw(_bodies(document))
    told = draw(_KINDS) if kind is None or seldom(draw) else kind
    extra = draw(_FEW_HEADERS)
    chunk = draw(st.sampled_from((0, 0, 0, 1000, 7))) if len(body) < 20_000 else 0
    headers = (("Content-Type", told), *packing, *extra.items())
    return Request(method, target, draw(st.sampled_from(WHO)), headers, body, chunk)


@st.composite
def resources_sent(draw: st.DrawFn) -> Request:
    """Create, update and their conditional forms."""
    resource = draw(mostly(RESOURCES, ODD))
    told = resource.get("resourceType") if isinstance(resource, dict) else None
    kind = told if isinstance(told, str) and not seldom(draw) else draw(TYPES)
    known = resource.get("id") if isinstance(resource, dict) else None
    name = known if isinstance(known, str) and not seldom(draw) else draw(VALUES)
    path = f"/fhir/{in_address(kind)}"
    method, target = draw(
        st.sampled_from(
            (
                ("POST", path),
                ("PUT", f"{path}/{in_address(name)}"),
                ("POST", f"{path}/$validate"),
                ("PUT", f"{path}?{draw(CONDITIONS)}"),
            )
        )
    )
    return draw(sent(method, target, resource, FHIR[1]))


@st.composite
def deletes(draw: st.DrawFn) -> Request:
    """Deletes of what is there, of what a condition finds, of nothing."""
    where = draw(
        st.one_of(st.sampled_from(PLACES), st.builds(lambda kind, asked: f"{kind}?{asked}", TYPES, CONDITIONS), TYPES)
    )
    return Request("DELETE", f"/fhir/{where}", draw(st.sampled_from(WHO)), tuple(draw(_FEW_HEADERS).items()))
