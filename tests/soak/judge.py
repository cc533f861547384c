"""Whether what was seen of a server under load is flat.

A line is fitted to the last half of each series by least squares: caches fill in the first.
https://www.itl.nist.gov/div898/handbook/pmd/section4/pmd431.htm
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from statistics import linear_regression

from fhir_facade.cli.threads import MOST

Series = Sequence[tuple[float, float]]
"""Seconds since the beginning, and the value then."""

FEWEST = 4
"""Points that make a line worth fitting."""


@dataclass(frozen=True)
class Bound:
    """How far a line may rise over the last half: by a share of where it begins, or by an amount, if that is more. At no
    time it may be above `most`."""

    what: str
    unit: str
    share: float
    amount: float
    most: float = inf


@dataclass(frozen=True)
class Verdict:
    """`begins` and `rises` are of the line through the last half."""

    series: str
    bound: Bound
    begins: float
    rises: float
    highest: float

    @property
    def allowed(self) -> float:
        return max(self.bound.share * self.begins, self.bound.amount)

    @property
    def flat(self) -> bool:
        return self.rises <= self.allowed and self.highest <= self.bound.most

    def __str__(self) -> str:
        word = "flat" if self.flat else "GROWS"
        rise, unit = f"{self.rises:+.2f} of {self.allowed:.2f}", self.bound.unit
        most = "" if self.bound.most == inf else f" of {self.bound.most:.1f}"
        return f"{word:5}  {self.series:28} from {self.begins:8.1f} {rise:>16} {unit}, highest {self.highest:.1f}{most}"


MEMORY = Bound("RssAnon", "MiB", share=0.05, amount=2.0)
DESCRIPTORS = Bound("file descriptors", "", share=0.1, amount=8.0)
THREADS = Bound("threads", "", share=0.0, amount=MOST, most=MOST)
"""Pools fill when they are needed at once, which may be late, and have an end."""
ALONE = Bound("threads", "", share=0.0, amount=0.0, most=1.0)
WAL = Bound("write-ahead log", "MiB", share=0.5, amount=64.0)
ROWS = Bound("rows that come and go", "", share=0.1, amount=20.0)


def judge(name: str, series: Series, bound: Bound) -> Verdict:
    """ValueError when there are too few points."""
    last = series[len(series) // 2 :]
    if len(last) < FEWEST:
        raise ValueError(f"{name}: {len(series)} samples are too few to tell; run longer or sample more often")
    times, values = [at for at, _ in last], [value for _, value in last]
    slope, intercept = linear_regression(times, values)
    highest = max(value for _, value in series)
    return Verdict(name, bound, intercept + slope * times[0], slope * (times[-1] - times[0]), highest)
