"""Dates in queries: prefix, precision, interval (https://hl7.org/fhir/R4/search.html#date)."""

from __future__ import annotations

from datetime import datetime

from fhir_facade.errors import BadRequest
from fhir_facade.fhir.extract.dates import MAX_US, MIN_US, from_us, interval, to_us
from fhir_facade.fhir.query.prefixes import split_prefix
from fhir_facade.values import DateValue

APPROXIMATE_PART = 10
ALLOWED = "allowed are YYYY, YYYY-MM, YYYY-MM-DD and YYYY-MM-DDThh:mm[:ss[.sss]][Z|+hh:mm] (in a URL + is %2B)"


def parse_date(name: str, raw: str, now: datetime) -> DateValue:
    """`ap` is widened on both sides by a tenth of the gap between the date and `now`. BadRequest: no such date."""
    prefix, text = split_prefix(_with_zone(raw))
    low, high = _interval(name, text)
    if prefix == "ap":
        present = to_us(now)
        gap = max(low - present, present - high, 0) // APPROXIMATE_PART
        low, high = max(low - gap, MIN_US), min(high + gap, MAX_US)
    return DateValue(prefix, from_us(low), from_us(high), text)


def parse_instant(text: str) -> datetime:
    """The beginning of what a date or dateTime means, aware, UTC. BadRequest when it is none."""
    return from_us(_interval("the instant", _with_zone(text))[0])


def _with_zone(text: str) -> str:
    """A plus before the zone that was not escaped came as a space, which means nothing else there: HAPI's client writes
    `_since` and `_at` so."""
    return f"{text[:-6]}+{text[-5:]}" if text[-6:-5] == " " else text


def _interval(name: str, text: str) -> tuple[int, int]:
    found = interval(text)
    if found is None:
        raise BadRequest(f"{name}: {text!r} is not a date; {ALLOWED}")
    return found
