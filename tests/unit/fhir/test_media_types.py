"""Which formats are spoken: https://hl7.org/fhir/R4/http.html#mime-type."""

from __future__ import annotations

import pytest

from fhir_facade.errors import NotAcceptable
from fhir_facade.fhir.media_types import check_format, is_taken, media


@pytest.mark.parametrize("format", ["xml", "application/fhir xml", "ttl", "application/fhir+json;q=0", "text/html"])
def test_what_is_no_json_is_not_spoken(format: str) -> None:
    with pytest.raises(NotAcceptable, match="speaks JSON"):
        check_format(format)


@pytest.mark.parametrize("format", ["json", "application/fhir+json", "application/fhir json", "text/json", "*/*"])
def test_json_has_many_names(format: str) -> None:
    check_format(format)


@pytest.mark.parametrize(("version", "taken"), [("4.0", True), ("4.0.1", True), ("3.0", False), ("5.0", False)])
def test_a_media_type_may_name_the_version(version: str, taken: bool) -> None:
    assert is_taken(f"application/fhir+json; FHIRVersion={version}") is taken


@pytest.mark.parametrize("parameter", ["q*", "q*=utf-8''0", "q*1;q*", "0*;0*0*", "charset*", "fhirVersion*=x"])
def test_parameters_as_mail_writes_them_mean_nothing(parameter: str) -> None:
    assert is_taken(f"application/fhir+json;{parameter}") is True


def test_a_semicolon_in_quotes_ends_no_parameter() -> None:
    assert media('Text/JSON ; A="b;q=0" ; CharSet = UTF-8 ') == ("text/json", {"a": "b;q=0", "charset": "UTF-8"})
