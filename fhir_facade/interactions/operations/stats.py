"""`$stats`: statistics over the measurements of a patient, one Observation per code.

https://hl7.org/fhir/R4/observation-operation-stats.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from fhir_facade.errors import BadRequest, Issue, TooLarge
from fhir_facade.fhir.document import decimal_dumps, decimal_loads, instant
from fhir_facade.fhir.extract.dates import DAY_US, interval
from fhir_facade.fhir.operations import Inputs
from fhir_facade.fhir.query import parse_query
from fhir_facade.interactions.audit import audit_lines, patients_asked_about, patients_of, record_lines
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.operations.lastn import moment_of
from fhir_facade.interactions.operations.matches import NEWEST_FIRST, NOT_IN_ERROR, matches
from fhir_facade.interactions.operations.statistics import STATISTICS, Sample, Statistic, compute
from fhir_facade.values import (
    Criterion,
    FhirResponse,
    JsonObject,
    Match,
    SearchQuery,
    StoredResource,
    TokenValue,
)
from terminology import ucum
from terminology.canonical import DATA_ABSENT_REASON, UCUM

SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/observation-statistics"
MOST_SOURCES: Final = 1000
MOST_VALUES: Final = 250_000
"""Measurements of one code that are held in memory: half a year, one a minute."""

Period = dict[str, str]


@dataclass(slots=True)
class Series:
    """The measurements of one code. `coding` is as the first of them has it; `values` are (moment, number, unit)."""

    coding: JsonObject
    values: list[tuple[int, Decimal, str]] = field(default_factory=list)
    total: int = 0


async def stats(call: Call, inputs: Inputs) -> FhirResponse:
    """Parameters with an Observation per code, whose components are the statistics that were asked for. Components of
    Observations (a blood pressure) count as measurements of their code; other units are converted to the most
    frequent one, and what cannot be converted counts in `total-count` only."""
    asked, period = _asked(inputs), _period(call, inputs)
    criteria, limit = _criteria(call, inputs, asked, period), _limit(inputs)
    series = [Series(dict(coding)) for coding in asked]
    sources: list[StoredResource] = []
    about, patients = set[str](), set[str]()
    query = SearchQuery("Observation", criteria, sort=NEWEST_FIRST if limit else ())
    async for stored in matches(call, query):
        observation = decimal_loads(stored.body)
        for one in series:
            _measure(one, observation)
            _refuse_many(one)
        about.add(str(observation.get("subject", {}).get("reference", "")))
        patients |= patients_of(observation)
        if len(sources) < limit:
            sources.append(stored)
    patients |= patients_asked_about("Observation", criteria)
    await record_lines(call.ports, audit_lines(call.ports, call.principal, call.request, patients))
    told = [_told(one, inputs, period, about) for one in series]
    answer: list[dict[str, Any]] = [{"name": "statistics", "resource": one} for one in told]
    answer += [{"name": "source", "resource": msgspec.Raw(one.body)} for one in sources]
    return FhirResponse(200, decimal_dumps({"resourceType": "Parameters", "parameter": answer}))


# --- what is asked ----------------------------------------------------------------------------------------------------


def _asked(inputs: Inputs) -> list[JsonObject]:
    """The codings asked about, each once."""
    unknown = [code for code in inputs.texts("statistic") if code not in STATISTICS]
    if unknown:
        known = ", ".join(STATISTICS)
        issues = [
            Issue("code-invalid", f"statistic={code}: it must be one of {known}", "statistic") for code in unknown
        ]
        raise BadRequest(issues[0].diagnostics, issues=issues)
    system = inputs.text("system")
    own = {} if system is None else {"system": system}
    asked: list[JsonObject] = [{**own, "code": code} for code in inputs.texts("code")]
    asked += [
        {name: coding[name] for name in ("system", "code") if name in coding} for coding in inputs.objects("coding")
    ]
    if not asked or not all("code" in coding for coding in asked):
        raise BadRequest("$stats needs a code (with its system) or a coding with a code", expression="code")
    return [coding for at, coding in enumerate(asked) if coding not in asked[:at]]


def _period(call: Call, inputs: Inputs) -> Period:
    hours, period = inputs.number("duration"), inputs.object("period")
    if hours is None:
        return {} if period is None else {name: period[name] for name in ("start", "end") if name in period}
    if period is not None:
        raise BadRequest("$stats takes a duration or a period, not both", expression="duration")
    now = call.ports.clock.now()
    try:
        return {"start": instant(now - timedelta(hours=float(hours))), "end": instant(now)}
    except (OverflowError, ValueError) as error:
        raise BadRequest(f"duration={hours}: no calendar goes so far", expression="duration") from error


def _limit(inputs: Inputs) -> int:
    return min(inputs.whole("limit") or MOST_SOURCES, MOST_SOURCES) if inputs.flag("include") else 0


def _criteria(call: Call, inputs: Inputs, asked: Sequence[JsonObject], period: Period) -> tuple[Criterion, ...]:
    dates = [("date", f"{prefix}{period[name]}") for name, prefix in (("start", "ge"), ("end", "le")) if name in period]
    subject = ("subject", inputs.text("subject") or "")
    base = call.ports.deployment.fhir_url
    parsed = parse_query("Observation", [subject, *dates], now=call.ports.clock.now(), base_url=base)
    codes = tuple(TokenValue(coding.get("system"), coding["code"]) for coding in asked)
    return (*parsed.query.criteria, Match("combo-code", "token", codes), NOT_IN_ERROR)


# --- measurements -----------------------------------------------------------------------------------------------------


def _measure(series: Series, observation: JsonObject) -> None:
    for part in (observation, *observation.get("component", ())):
        found = next((one for one in part.get("code", {}).get("coding", ()) if _is(one, series.coding)), None)
        if found is not None:
            series.coding = {**found, **series.coding}
            series.total += 1
            series.values += _measured(part, moment_of(observation))


def _refuse_many(series: Series) -> None:
    if len(series.values) > MOST_VALUES:
        text = f"there are more than {MOST_VALUES} measurements: ask for a shorter period"
        raise TooLarge(text)


def _is(coding: Mapping[str, Any], wanted: JsonObject) -> bool:
    return all(coding.get(name) == wanted[name] for name in ("system", "code") if name in wanted)


def _measured(part: JsonObject, moment: int) -> Iterator[tuple[int, Decimal, str]]:
    """The value with its UCUM code; none for `<5` and its like, which say no number."""
    quantity = part.get("valueQuantity", {})
    coded = quantity.get("system") == UCUM and "code" in quantity and "comparator" not in quantity
    if coded and "value" in quantity:
        yield moment, Decimal(quantity["value"]), quantity["code"]


def _in_one_unit(series: Series) -> tuple[list[tuple[int, Decimal]], str]:
    units = Counter(unit for *_, unit in series.values)
    if not units:
        return [], "1"
    unit = max(sorted(units), key=units.__getitem__)
    return [(moment, value) for moment, value in _converted(series, unit)], unit


def _converted(series: Series, unit: str) -> Iterator[tuple[int, Decimal]]:
    for moment, value, own in series.values:
        if own == unit:
            yield moment, value
        elif ucum.comparable(own, unit):
            yield moment, ucum.convert(value, own, unit)


# --- what is told -----------------------------------------------------------------------------------------------------


def _told(series: Series, inputs: Inputs, period: Period, about: set[str]) -> dict[str, Any]:
    values, unit = _in_one_unit(series)
    values.sort()
    begun = interval(period["start"]) if "start" in period else None
    start = begun[0] if begun is not None else values[0][0] if values else 0
    days = tuple(Decimal(moment - start) / DAY_US for moment, _ in values)
    sample = Sample(tuple(value for _, value in values), days, series.total)
    told: dict[str, Any] = {"resourceType": "Observation", "status": "final", "code": {"coding": [series.coding]}}
    subjects = about - {""}
    if len(subjects) == 1:
        told["subject"] = {"reference": subjects.pop()}
    if period:
        told["effectivePeriod"] = period
    components = [_component(code, one, sample, unit) for code in _codes(inputs) for one in STATISTICS[code]]
    return told | {"component": components}


def _codes(inputs: Inputs) -> tuple[str, ...]:
    return tuple(dict.fromkeys(inputs.texts("statistic")))


def _component(code: str, statistic: Statistic, sample: Sample, unit: str) -> dict[str, Any]:
    concept: dict[str, Any] = {"coding": [{"system": SYSTEM, "code": code}]}
    if statistic.text is not None:
        concept["text"] = statistic.text
    value = compute(statistic, sample)
    if value is None:
        reason = {"coding": [{"system": DATA_ABSENT_REASON, "code": "not-a-number"}]}
        return {"code": concept, "dataAbsentReason": reason}
    own = statistic.unit(unit)
    return {"code": concept, "valueQuantity": {"value": value, "unit": own, "system": UCUM, "code": own}}
