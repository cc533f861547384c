"""The statistics of R4 over one series of measurements, in exact decimals.

https://hl7.org/fhir/R4/valueset-observation-statistics.html; where the definitions leave a choice: standard deviation
and variance are those of a sample (n - 1), quantiles are interpolated between the two nearest values (type 7 of Hyndman
and Fan, 1996), skew and kurtosis are the adjusted ones of a sample (Joanes and Gill, 1998), kurtosis is 0 for a normal
distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from functools import partial
from typing import Final

from terminology import ucum

_EXACT: Final = Context(prec=40)
_SHOWN: Final = Context(prec=15)
_ZERO: Final = Decimal(0)

Unit = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Sample:
    """Values in the order of `days`, which say when each was measured, counted from any moment. `total` counts also
    the measurements that had no value to use."""

    values: tuple[Decimal, ...]
    days: tuple[Decimal, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Statistic:
    """`of` gives None where the sample is too small for it. `text` tells results of one code apart."""

    of: Callable[[Sample], Decimal | None]
    unit: Unit = str
    text: str | None = None


def compute(statistic: Statistic, sample: Sample) -> Decimal | None:
    """The result with at most 15 significant digits."""
    with localcontext(_EXACT):
        found = statistic.of(sample)
        return None if found is None else ucum.plain(_SHOWN.plus(found))


def _average(sample: Sample) -> Decimal | None:
    return sum(sample.values, _ZERO) / len(sample.values) if sample.values else None


def _least(sample: Sample) -> Decimal | None:
    return min(sample.values, default=None)


def _most(sample: Sample) -> Decimal | None:
    return max(sample.values, default=None)


def _quantile(part: Decimal, sample: Sample) -> Decimal | None:
    if not sample.values:
        return None
    ordered = sorted(sample.values)
    place = part * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _quartile_deviation(sample: Sample) -> Decimal | None:
    lower, upper = _quantile(Decimal("0.25"), sample), _quantile(Decimal("0.75"), sample)
    return None if lower is None or upper is None else (upper - lower) / 2


def _moments(values: Sequence[Decimal], power: int) -> Decimal:
    mean = sum(values, _ZERO) / len(values)
    return sum(((value - mean) ** power for value in values), _ZERO)


def _variance(sample: Sample) -> Decimal | None:
    size = len(sample.values)
    return _moments(sample.values, 2) / (size - 1) if size > 1 else None


def _deviation(sample: Sample) -> Decimal | None:
    variance = _variance(sample)
    return None if variance is None else variance.sqrt()


def _skew(sample: Sample) -> Decimal | None:
    size, deviation = len(sample.values), _deviation(sample)
    if size < 3 or not deviation:
        return None
    return Decimal(size) / ((size - 1) * (size - 2)) * _moments(sample.values, 3) / deviation**3


def _kurtosis(sample: Sample) -> Decimal | None:
    size, variance = len(sample.values), _variance(sample)
    if size < 4 or not variance:
        return None
    tails = Decimal(size * (size + 1)) / ((size - 1) * (size - 2) * (size - 3))
    normal = Decimal(3 * (size - 1) ** 2) / ((size - 2) * (size - 3))
    return tails * _moments(sample.values, 4) / variance**2 - normal


def _slope(sample: Sample) -> Decimal | None:
    size = len(sample.values)
    spread = _moments(sample.days, 2) if size > 1 else _ZERO
    if not spread:
        return None
    mean_day, mean = sum(sample.days, _ZERO) / size, sum(sample.values, _ZERO) / size
    together = ((day - mean_day) * (value - mean) for day, value in zip(sample.days, sample.values, strict=True))
    return sum(together, _ZERO) / spread


def _intercept(sample: Sample) -> Decimal | None:
    slope, mean = _slope(sample), _average(sample)
    if slope is None or mean is None:
        return None
    return mean - slope * sum(sample.days, _ZERO) / len(sample.days)


def _squared(unit: str) -> str:
    return f"({unit}).({unit})"


def _number(_: str) -> str:
    return "1"


def _part(text: str) -> Callable[[Sample], Decimal | None]:
    return partial(_quantile, Decimal(text))


STATISTICS: Final[Mapping[str, tuple[Statistic, ...]]] = {
    "average": (Statistic(_average),),
    "maximum": (Statistic(_most),),
    "minimum": (Statistic(_least),),
    "count": (Statistic(lambda sample: Decimal(len(sample.values)), _number),),
    "total-count": (Statistic(lambda sample: Decimal(sample.total), _number),),
    "median": (Statistic(_part("0.5")),),
    "std-dev": (Statistic(_deviation),),
    "sum": (Statistic(lambda sample: sum(sample.values, _ZERO)),),
    "variance": (Statistic(_variance, _squared),),
    "20-percent": (Statistic(_part("0.2")),),
    "80-percent": (Statistic(_part("0.8")),),
    "4-lower": (Statistic(_part("0.25")),),
    "4-upper": (Statistic(_part("0.75")),),
    "4-dev": (Statistic(_quartile_deviation),),
    "5-1": (Statistic(_part("0.2")),),
    "5-2": (Statistic(_part("0.4")),),
    "5-3": (Statistic(_part("0.6")),),
    "5-4": (Statistic(_part("0.8")),),
    "skew": (Statistic(_skew, _number),),
    "kurtosis": (Statistic(_kurtosis, _number),),
    "regression": (
        Statistic(_slope, lambda unit: f"({unit})/d", "slope"),
        Statistic(_intercept, str, "intercept at the beginning of the period"),
    ),
}
"""By the codes of http://terminology.hl7.org/CodeSystem/observation-statistics."""
