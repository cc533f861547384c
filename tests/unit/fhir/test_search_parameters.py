"""Every official search parameter of every type is extracted, found again by a query, and matched."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest

from fhir_facade.fhir.definitions import resource_types, search_parameters
from fhir_facade.fhir.extract import extract, extract_parameter
from fhir_facade.fhir.match import matches
from fhir_facade.fhir.query import parse_query
from tests.unit.fhir.sampling import branches, samples

NOW = datetime(2026, 1, 1, tzinfo=UTC)
# R4 gives them no path to values: narrative and full text, operations, other resources, a point on the globe.
WITHOUT_VALUES = {"_content", "_filter", "_has", "_list", "_query", "_text", "_type", "near"}


@pytest.mark.parametrize("fhir_type", resource_types())
def test_a_value_of_every_parameter_is_indexed_and_found_by_searching_for_it(fhir_type):
    for code, parameter in search_parameters(fhir_type).items():
        if code in WITHOUT_VALUES:
            continue
        reached = list(branches(parameter))
        assert reached, f"no path leads to {fhir_type}.{code}"
        assert all(reached), f"no sample reaches every branch of {fhir_type}.{code}: {parameter.expression}"
        for resource, text in itertools.chain.from_iterable(reached):
            (criterion,) = parse_query(fhir_type, [(code, text)], now=NOW).query.criteria
            assert any(row.param == code for row in extract(resource)), (code, resource)
            assert matches(resource, criterion), (code, text, resource)
            missing = parse_query(fhir_type, [(f"{code}:missing", "true")], now=NOW).query.criteria[0]
            assert not matches(resource, missing)


@pytest.mark.parametrize("fhir_type", resource_types())
def test_one_parameter_extracted_alone_gives_the_same_rows_as_all_together(fhir_type):
    for code, parameter in search_parameters(fhir_type).items():
        if code not in WITHOUT_VALUES:
            resource, _ = next(samples(parameter))
            names = (code, f"{code}:identifier", f"{code}:of-type")
            together = [row for row in extract(resource) if row.param in names]
            assert sorted(map(_told, extract_parameter(resource, code))) == sorted(map(_told, together))


def _told(row):
    """The row; the parts of composites without the name of the parameter that shares them."""
    parts = [part._replace(param="") for part in getattr(row, "parts", ())]
    return repr((row._replace(parts=()), parts) if parts else row)


def test_a_resource_that_holds_nothing_has_no_values():
    for fhir_type in resource_types():
        rows = list(itertools.chain(extract({"resourceType": fhir_type})))
        assert [row.param for row in rows] == (["deceased"] if fhir_type == "Patient" else [])
