"""Filter expressions of `list` and `reconcile`: the documented subset of https://google.aip.dev/160.

Only `>=` and `<`, joined by AND, on the time fields of the data type, with literals of exactly the documented form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from fhir_facade.simulator.data_types import DataType
from fhir_facade.simulator.points import Point
from fhir_facade.simulator.refusals import Refusal

Predicate = Callable[[Point], bool]

_TERM = re.compile(r'^(?P<field>[a-z0-9_.]+)\s*(?P<operator>>=|<|[^\s"]+)\s*"(?P<literal>[^"]*)"$')
_PHYSICAL = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$")
_CIVIL = re.compile(r"^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d)?$")
_DATE = re.compile(r"^\d{4}-\d\d-\d\d$")

_FIELDS: Mapping[str, Mapping[str, str]] = {
    "interval": {"interval.start_time": "start", "interval.civil_start_time": "civil start"},
    "sample": {"sample_time.physical_time": "start", "sample_time.civil_time": "civil start"},
    "daily": {"date": "date"},
    "session": {"interval.end_time": "end", "interval.civil_end_time": "civil end"},
}


def _invalid(text: str) -> Refusal:
    return Refusal(400, f"Invalid filter: {text}", reason="INVALID_DATA_POINT_FILTER")


def _literal(text: str, pattern: re.Pattern[str], form: str) -> str:
    if not pattern.match(text):
        raise _invalid(f'literal "{text}" must be {form}')
    return text


def _parsed(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise _invalid(f'literal "{text}" is no date') from error


def _bound(what: str, text: str, zone: ZoneInfo) -> tuple[Callable[[Point], date | datetime], date | datetime]:
    """How the compared value is read from a point, and the literal in the same form."""
    if what == "date":
        return (lambda point: point.on), _parsed(_literal(text, _DATE, "a date YYYY-MM-DD")).date()
    edge = "end" if what.endswith("end") else "start"
    if not what.startswith("civil"):
        instant = _parsed(_literal(text, _PHYSICAL, "an RFC 3339 timestamp with zone"))
        return (lambda point: getattr(point, edge)), instant
    civil = _parsed(_literal(text, _CIVIL, "YYYY-MM-DD[THH:mm:ss] without zone"))
    local = civil if isinstance(civil, datetime) else datetime.combine(civil, time())
    return (lambda point: getattr(point, edge).astimezone(zone).replace(tzinfo=None)), local


def _term(text: str, data_type: DataType, zone: ZoneInfo) -> Predicate:
    match = _TERM.match(text.strip())
    if match is None:
        raise _invalid(f"'{text.strip()}' is not of the form field >= \"literal\"")
    prefix, _, field = match["field"].partition(".")
    what = _FIELDS[data_type.kind].get(field)
    if prefix != data_type.snake or what is None:
        raise _invalid(f"field '{match['field']}' is not supported for data type {data_type.name}")
    read, literal = _bound(what, match["literal"], zone)
    if match["operator"] == ">=":
        return lambda point: read(point) >= literal
    if match["operator"] == "<":
        return lambda point: read(point) < literal
    raise _invalid(f"operator '{match['operator']}' is not supported, only >= and <")


def parse_filter(text: str, data_type: DataType, zone: ZoneInfo) -> Predicate:
    """A predicate on points; an empty text matches all. Refusal 400 for what the documentation does not list."""
    if not text.strip():
        return lambda _point: True
    terms = [_term(term, data_type, zone) for term in re.split(r"\s+AND\s+", text)]
    return lambda point: all(term(point) for term in terms)
