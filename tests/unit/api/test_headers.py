"""What the headers of a FHIR request say."""

import os
import time
from datetime import UTC, datetime

import pytest

from fhir_facade.api.headers import moment


@pytest.fixture
def far_away():
    """A server whose own clock is not that of Greenwich."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "America/New_York"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize("text", ["soon", "Sun, 99 Nov 2026 10:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -2359"])
def test_what_is_no_date_is_ignored(text):
    assert moment(text) is None


@pytest.mark.parametrize("zone", ["GMT", "+0000", "-0000"])
def test_a_date_is_one_moment_wherever_the_server_stands(far_away, zone):
    assert moment(f"Sun, 22 Nov 2026 10:00:00 {zone}") == datetime(2026, 11, 22, 10, tzinfo=UTC)
