"""The parameters of a search that an entry of a Bundle carries: https://hl7.org/fhir/R4/http.html#search."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from fhir_facade.errors import BadRequest
from fhir_facade.fhir.query.carried import LARGEST, carried_params

FORM = "application/x-www-form-urlencoded"


def parameters(*named: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(named)}


def form(text: bytes, kind: str = FORM) -> dict[str, Any]:
    return {"resourceType": "Binary", "contentType": kind, "data": base64.b64encode(text).decode()}


@pytest.mark.parametrize(
    ("resource", "says"),
    [
        pytest.param({"resourceType": "Patient"}, "not as Patient", id="another resource"),
        pytest.param(
            parameters({"name": "code", "valueCoding": {"code": "x"}}), "'code' has none", id="no plain value"
        ),
        pytest.param(
            parameters({"name": "code", "resource": {"resourceType": "Patient"}}), "has none", id="a resource"
        ),
        pytest.param(parameters({"valueString": "x"}), "name", id="no name"),
        pytest.param(parameters({"name": "a", "valueString": 5}), "string", id="a value of another type"),
        pytest.param(form(b"a=b", "text/plain"), "not of 'text/plain'", id="a Binary of something else"),
        pytest.param(form(b"\xff"), "in UTF-8", id="another alphabet"),
        pytest.param({"resourceType": "Binary", "contentType": FORM, "data": "?"}, "base64", id="no base64"),
        pytest.param({"resourceType": "Binary", "contentType": FORM, "data": 5}, "base64", id="no text"),
        pytest.param(parameters({"name": "a", "valueString": "x" * LARGEST}), f"at most {LARGEST}", id="too long"),
    ],
)
def test_what_holds_no_parameters_of_a_search_is_refused(resource: dict[str, Any], says: str) -> None:
    with pytest.raises(BadRequest) as refused:
        carried_params(json.dumps(resource).encode())

    assert says in str(refused.value)


def test_plain_values_are_taken_as_they_are_written_and_in_order() -> None:
    body = (
        b'{"resourceType":"Parameters","parameter":[{"name":"value-quantity","valueDecimal":1.50},'
        b'{"name":"code","valueUri":"http://loinc.org|718-7"},{"name":"active","valueBoolean":false},'
        b'{"name":"code","valueString":"a\\\\,b,c"},{"name":"_count","valueInteger":7}]}'
    )

    assert carried_params(body) == (
        ("value-quantity", "1.50"),
        ("code", "http://loinc.org|718-7"),
        ("active", "false"),
        ("code", "a\\,b,c"),
        ("_count", "7"),
    )


def test_a_form_is_read_as_in_a_search_of_its_own() -> None:
    text = b"code=a%7Cb&code=&date=ge2026-01-01T00:00:00%2B01:00"

    assert carried_params(json.dumps(form(text, f"{FORM}; charset=utf-8")).encode()) == (
        ("code", "a|b"),
        ("code", ""),
        ("date", "ge2026-01-01T00:00:00+01:00"),
    )


def test_no_parameters_are_none() -> None:
    assert carried_params(b'{"resourceType":"Parameters"}') == ()
