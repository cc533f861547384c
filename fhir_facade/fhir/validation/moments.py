"""Comparing FHIR dates and times of any precision.

https://hl7.org/fhir/R4/datatypes.html#dateTime, https://hl7.org/fhirpath/N1/#comparison
"""

from __future__ import annotations

import re
from datetime import datetime

_TIME = re.compile(r"([^.Z+]+?)(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})")


def is_after(first: str | None, second: str | None) -> bool:
    """True only when `first` is certainly later; different precisions are compared as far as both go."""
    if first is None or second is None:
        return False
    if "T" in first and "T" in second:
        return _moment(first) > _moment(second)
    shorter = min(len(first), len(second), 10)
    return first[:shorter] > second[:shorter]


def _moment(text: str) -> tuple[datetime, str]:
    """The second in UTC, and the digits of its fraction, however many there are."""
    second, fraction, zone = _TIME.fullmatch(text).groups()  # type: ignore[union-attr]
    leap = second.endswith(":60")
    moment = datetime.fromisoformat((second[:-2] + "59" if leap else second) + zone)
    return moment, ("~" if leap else "") + (fraction or "").rstrip("0")
