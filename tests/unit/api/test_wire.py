"""Bytes on the wire."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from fhir_facade.api.wire import http_date


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 21, 17, 4, 9, 999_000, UTC),
        datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 58, tzinfo=UTC),
        datetime(2026, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2))),
    ],
    ids=str,
)
def test_a_moment_is_written_as_http_writes_dates(moment):
    assert http_date(moment).decode() == format_datetime(moment.astimezone(UTC), usegmt=True)
