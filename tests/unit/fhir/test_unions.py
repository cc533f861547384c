"""Search parameters that are others together."""

import pytest

from fhir_facade.fhir.definitions import resource_types
from fhir_facade.fhir.definitions.unions import parts_of, unions


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        ("combo-code", ("code", "component-code")),
        ("combo-value-quantity", ("component-value-quantity", "value-quantity")),
        ("combo-code-value-concept", ("code-value-concept", "component-code-value-concept")),
        ("code", ("code",)),
        ("code-value-quantity", ("code-value-quantity",)),
        ("subject", ("subject",)),
        ("unknown", ("unknown",)),
    ],
)
def test_a_parameter_has_the_parts_that_together_read_the_same(code, parts):
    assert parts_of("Observation", code) == parts


def test_no_part_has_parts_itself():
    parts = {(type_, part) for type_ in resource_types() for code in unions(type_) for part in parts_of(type_, code)}

    assert len(parts) == 12
    assert all(parts_of(type_, part) == (part,) for type_, part in parts)
