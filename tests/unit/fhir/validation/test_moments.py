"""Order of dates and times of different precision; https://hl7.org/fhirpath/N1/#comparison."""

import pytest

from fhir_facade.fhir.validation.moments import is_after


@pytest.mark.parametrize(
    ("first", "second", "after"),
    [
        ("2021", "2020", True),
        ("2020", "2020", False),
        ("2020-02", "2020", False),
        ("2020", "2019-12-31", True),
        ("2020-01-02", "2020-01-01T23:00:00Z", True),
        ("2020-01-01", "2020-01-01T00:00:00Z", False),
        ("2020-01-01T12:00:00Z", "2020-01-01T12:30:00+01:00", True),
        ("2020-01-01T12:00:00-01:00", "2020-01-01T12:30:00Z", True),
        ("2020-01-01T12:00:00.1234567890Z", "2020-01-01T12:00:00.1234567889Z", True),
        ("2020-01-01T12:00:00.10Z", "2020-01-01T12:00:00.1Z", False),
        ("2020-01-01T12:00:00.1Z", "2020-01-01T12:00:00Z", True),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.9Z", True),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z", False),
        (None, "2020", False),
        ("2020", None, False),
    ],
)
def test_only_what_is_certainly_later_is_after(first: str | None, second: str | None, after: bool) -> None:
    assert is_after(first, second) is after
