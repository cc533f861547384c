"""A series becomes a chart: marks in a box of 1000 by 400 that the page stretches, its labels as text beside it.

The labels are outside the drawing, so they keep their size on every screen. https://www.w3.org/TR/SVG2/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from itertools import count
from typing import Final

from fhir_facade.api.portal.wording import Wording
from fhir_facade.flows.readings import Kind, Reading, Series

WIDTH: Final = 1000
HEIGHT: Final = 400
_STEPS: Final = tuple(Decimal(text) for text in ("1", "2", "2.5", "3", "4", "5"))
_INTERVALS: Final = 4
_GAP: Final = 0.28
"""The part of a day's width that stays empty between two bars."""


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Dot:
    x: float
    y: float
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table under a chart."""

    when: str
    value: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All a template needs. `ticks` from top to bottom, `days` from left to right, `rows` newest first."""

    id: str
    title: str
    unit: str
    latest: str
    latest_when: str
    summary: str
    ticks: tuple[str, ...]
    days: tuple[str, ...]
    bars: tuple[Bar, ...]
    lines: tuple[str, ...]
    dots: tuple[Dot, ...]
    rows: tuple[Row, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Scale:
    """From the bottom of a chart in equal steps to its top; `digits` is what its ticks need."""

    low: Decimal
    step: Decimal
    digits: int

    @property
    def high(self) -> Decimal:
        return self.low + _INTERVALS * self.step

    @property
    def ticks(self) -> list[Decimal]:
        """From top to bottom."""
        return [self.low + place * self.step for place in range(_INTERVALS, -1, -1)]

    def y(self, value: Decimal) -> float:
        return round(float(HEIGHT - (value - self.low) / (self.high - self.low) * HEIGHT), 1)


def scale_of(values: Sequence[Decimal], *, from_zero: bool, digits: int) -> Scale:
    """The tightest round scale that holds all values, with ticks no finer than `digits`."""
    lowest, highest = (Decimal(0) if from_zero else min(values)), max(values)
    steps = (factor.scaleb(power) for power in count(-digits) for factor in _STEPS)
    scales = (Scale((lowest / step).to_integral_value(ROUND_FLOOR) * step, step, _digits(step)) for step in steps)
    return next(scale for scale in scales if scale.high >= highest)


def _digits(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def chart_of(series: Series, words: Wording, first: date, last: date) -> Chart:
    """The chart of a series from the day `first` to the day `last`; readings outside are in the table only."""
    kind, newest = series.kind, series.readings[-1]
    inside = [reading for reading in series.readings if first <= reading.day <= last]
    scale = scale_of(_all_values(inside or [newest]), from_zero=kind.shape == "bars", digits=kind.digits)
    lines = kind.shape == "line"
    return Chart(
        id=kind.id,
        title=words.t(f"kind.{kind.id}"),
        unit=words.t(f"unit.{kind.id}"),
        latest=value_text(kind, newest, words),
        latest_when=_when(newest, words),
        summary=_summary(kind, inside or [newest], words),
        ticks=tuple(words.number(tick, scale.digits) for tick in scale.ticks),
        days=tuple(words.date(day) for day in (first, first + (last - first) / 2, last)),
        bars=() if lines else tuple(_bars(kind, inside, scale, words, first, last)),
        lines=tuple(_lines(inside, scale, first, last)) if lines else (),
        dots=tuple(_dots(kind, inside, scale, words, first, last)) if lines else (),
        rows=tuple(Row(_when(reading, words), value_text(kind, reading, words)) for reading in series.readings[::-1]),
        more=series.more,
    )


def value_text(kind: Kind, reading: Reading, words: Wording) -> str:
    """The number without its unit; 118/76 for a panel."""
    text = words.number(reading.value, kind.digits)
    return text if reading.second is None else f"{text}/{words.number(reading.second, kind.digits)}"


def _when(reading: Reading, words: Wording) -> str:
    return words.day(reading.day) if reading.at is None else words.moment(reading.at)


def _summary(kind: Kind, readings: Sequence[Reading], words: Wording) -> str:
    """What the picture shows, in a sentence for those who do not see it; of a panel each number in both parts."""
    parts = [[reading.value for reading in readings], _seconds(readings)]

    def text(number: Callable[[Sequence[Decimal]], Decimal]) -> str:
        return "/".join(words.number(number(part), kind.digits) for part in parts if part)

    return words.t(
        "chart.summary" if len(readings) > 1 else "chart.summary.one",
        count=len(readings),
        low=text(min),
        high=text(max),
        mean=text(_mean),
        unit=words.t(f"unit.{kind.id}"),
    )


def _mean(values: Sequence[Decimal]) -> Decimal:
    return sum(values, Decimal(0)) / len(values)


def _seconds(readings: Sequence[Reading]) -> list[Decimal]:
    return [reading.second for reading in readings if reading.second is not None]


def _all_values(readings: Sequence[Reading]) -> list[Decimal]:
    return [reading.value for reading in readings] + _seconds(readings)


def _day_width(first: date, last: date) -> float:
    return WIDTH / ((last - first).days + 1)


def _x(reading: Reading, first: date, last: date) -> float:
    """The middle of the day, or the very time within it."""
    part = 0.5 if reading.at is None else (reading.at.hour * 60 + reading.at.minute) / 1440
    return round(((reading.day - first).days + part) * _day_width(first, last), 1)


def _title(kind: Kind, reading: Reading, words: Wording) -> str:
    return f"{_when(reading, words)}: {value_text(kind, reading, words)} {words.t(f'unit.{kind.id}')}"


def _bars(
    kind: Kind, readings: Sequence[Reading], scale: Scale, words: Wording, first: date, last: date
) -> Iterator[Bar]:
    width = _day_width(first, last)
    for reading in readings:
        x, y = (reading.day - first).days * width + width * _GAP / 2, scale.y(reading.value)
        yield Bar(round(x, 1), y, round(width * (1 - _GAP), 1), round(HEIGHT - y, 1), _title(kind, reading, words))


def _lines(readings: Sequence[Reading], scale: Scale, first: date, last: date) -> Iterator[str]:
    """The path of the values, and that of the second parts."""
    second = [reading for reading in readings if reading.second is not None]
    for points in (
        [(_x(reading, first, last), scale.y(reading.value)) for reading in readings],
        [(_x(reading, first, last), scale.y(reading.second or Decimal(0))) for reading in second],
    ):
        if len(points) > 1:
            yield "M" + " L".join(f"{x} {y}" for x, y in points)


def _dots(
    kind: Kind, readings: Sequence[Reading], scale: Scale, words: Wording, first: date, last: date
) -> Iterator[Dot]:
    for reading in readings:
        for value in (reading.value, reading.second):
            if value is not None:
                yield Dot(_x(reading, first, last), scale.y(value), _title(kind, reading, words))
