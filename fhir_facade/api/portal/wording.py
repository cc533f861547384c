"""Numbers, days and times as a reader writes them: the marks and names come from the message catalogue.

https://cldr.unicode.org/translation/date-time/date-time-patterns
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from fhir_facade.api.pages.texts import Text


@dataclass(frozen=True, slots=True)
class Wording:
    """How one reader is told numbers and times. `zone` is the person's own, `today` the day it is there."""

    t: Text
    zone: tzinfo
    now: datetime

    @property
    def now_there(self) -> datetime:
        return self.now.astimezone(self.zone)

    @property
    def today(self) -> date:
        return self.now_there.date()

    def number(self, value: Decimal | float, digits: int = 0) -> str:
        """Rounded half up, with the reader's marks: 8,200.5 or 8.200,5."""
        exact = Decimal(value)
        room = Context(prec=max(28, exact.adjusted() + digits + 2))  # for whatever number a document may hold
        exact = exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP, context=room)
        marks = str.maketrans({",": self.t("number.group"), ".": self.t("number.point"), "-": "−"})
        return f"{exact:,}".translate(marks)

    def day(self, day: date) -> str:
        """Today and yesterday by name, days of this year without it."""
        if day in (self.today, self.today - timedelta(days=1)):
            return self.t("date.today" if day == self.today else "date.yesterday")
        return self.date(day)

    def date(self, day: date) -> str:
        """A day as it is written; the year only when it is another one."""
        key = "date.day" if day.year == self.today.year else "date.full"
        return self.t(key, day=day.day, month=self.t(f"month.{day.month}"), year=day.year)

    def moment(self, when: datetime) -> str:
        """Day and time by the person's clock."""
        local = when.astimezone(self.zone)
        return self.t("date.moment", day=self.day(local.date()), time=f"{local:%H:%M}")

    def machine(self, when: datetime) -> str:
        """For the `datetime` attribute."""
        return when.astimezone(UTC).isoformat(timespec="seconds")

    def moment_of(self, text: Any) -> str:
        """A FHIR dateTime; empty when there is none."""
        if not isinstance(text, str) or not text:
            return ""
        if "T" not in text:
            return self.day(date.fromisoformat(text)) if len(text) == len("2026-01-01") else text
        return self.moment(datetime.fromisoformat(text))
