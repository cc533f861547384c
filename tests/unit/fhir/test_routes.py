"""Which interaction a method and an address mean; https://hl7.org/fhir/R4/http.html#summary."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_facade.errors import BadRequest, FacadeError, MethodNotAllowed, NotFound
from fhir_facade.fhir.routes import Route, addresses, route, route_url
from fhir_facade.values import Interaction as Do
from fhir_facade.values import Ref

BASE = "https://example.org/fhir"


@pytest.mark.parametrize(
    "path",
    [
        "/Heart",
        "/patient",
        "/metadata/x",
        "/Patient//p",
        "/Patient/p/_history/1/2",
        "/Patient/p/q",
        "/_history/1",
        "/Patient/p/_search",
        "/Patient/p/Organization",
        "/Organization/o/Observation",
        "/Organization/o/*",
        "/Patient/p/*/x",
        "/metadata/$versions",
    ],
)
def test_an_address_that_means_nothing_is_not_found(path: str) -> None:
    with pytest.raises(NotFound, match="is no FHIR address here"):
        route("GET", path)


@pytest.mark.parametrize("id", ["a b", "a_b", "a" * 65, "*", ".", "..", "ü"])
def test_nothing_is_found_by_what_is_no_id_and_nothing_written_under_it(id: str) -> None:
    for method in ("GET", "PATCH", "DELETE"):
        with pytest.raises(NotFound, match=re.escape(f"'{id}' is no id: ")):
            route(method, f"/Patient/{id}")
    with pytest.raises(BadRequest, match=re.escape(f"'{id}' is no id: 1 to 64 of")):
        route("PUT", f"/Patient/{id}")


@pytest.mark.parametrize(
    ("method", "path", "takes"),
    [
        ("DELETE", "/", "GET, POST"),
        ("POST", "/metadata", "GET"),
        ("PUT", "/Patient/_search", "GET, POST"),
        ("POST", "/Patient/p", "GET, PUT, PATCH, DELETE"),
        ("PUT", "/Patient/p/_history/1", "GET"),
        ("BREW", "/Patient", "GET, POST, PUT, PATCH, DELETE"),
    ],
)
def test_a_method_that_an_address_does_not_take_is_answered_with_those_it_takes(
    method: str, path: str, takes: str
) -> None:
    with pytest.raises(MethodNotAllowed, match=f"it takes {takes}$"):
        route(method, path)


@pytest.mark.parametrize("url", ["http://elsewhere/Patient/p", "//elsewhere/Patient", "mailto:x", "http://[x/Patient"])
def test_an_entry_for_another_server_is_refused(url: str) -> None:
    with pytest.raises(BadRequest, match="is not an address of this server"):
        route_url("GET", url, base_url=BASE)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "", Route(Do.SEARCH_SYSTEM)),
        ("POST", "/", Route(Do.TRANSACTION)),
        ("GET", "/metadata", Route(Do.CAPABILITIES)),
        ("GET", "/Patient/p/_history/2/$meta", Route(Do.OPERATION, "Patient", "p", "2", "$meta")),
        ("GET", "/$versions", Route(Do.CAPABILITIES, operation="$versions")),
        ("POST", "/$versions", Route(Do.CAPABILITIES, operation="$versions")),
        ("GET", "/_history", Route(Do.HISTORY_SYSTEM)),
        ("POST", "/_search", Route(Do.SEARCH_SYSTEM)),
        ("POST", "/$meta", Route(Do.OPERATION, operation="$meta")),
        ("GET", "/Patient", Route(Do.SEARCH_TYPE, "Patient")),
        ("HEAD", "/Patient/", Route(Do.SEARCH_TYPE, "Patient")),
        ("POST", "/Patient", Route(Do.CREATE, "Patient")),
        ("POST", "/Patient/_search", Route(Do.SEARCH_TYPE, "Patient")),
        ("GET", "/Patient/_search", Route(Do.SEARCH_TYPE, "Patient")),
        ("GET", "/_search", Route(Do.SEARCH_SYSTEM)),
        (
            "GET",
            "/Patient/p/Observation/_search",
            Route(Do.SEARCH_TYPE, "Observation", compartment=Ref("Patient", "p")),
        ),
        ("GET", "/Patient/_history", Route(Do.HISTORY_TYPE, "Patient")),
        ("GET", "/Patient/$everything", Route(Do.OPERATION, "Patient", operation="$everything")),
        ("GET", "/Patient/p", Route(Do.READ, "Patient", "p")),
        ("HEAD", "/Patient/p", Route(Do.READ, "Patient", "p")),
        ("PUT", "/Patient/p", Route(Do.UPDATE, "Patient", "p")),
        ("PATCH", "/Patient/p", Route(Do.PATCH, "Patient", "p")),
        ("DELETE", "/Patient/p", Route(Do.DELETE, "Patient", "p")),
        ("GET", "/Patient/p/_history", Route(Do.HISTORY_INSTANCE, "Patient", "p")),
        ("GET", "/Patient/p/_history/2", Route(Do.VREAD, "Patient", "p", "2")),
        ("GET", "/Patient/p/$everything", Route(Do.OPERATION, "Patient", "p", operation="$everything")),
        ("GET", "/Patient/metadatas", Route(Do.READ, "Patient", "metadatas")),
        ("GET", "/Patient/p/Observation", Route(Do.SEARCH_TYPE, "Observation", compartment=Ref("Patient", "p"))),
        ("POST", "/Device/d/Observation/_search", Route(Do.SEARCH_TYPE, "Observation", compartment=Ref("Device", "d"))),
        ("GET", "/Patient/p/Patient", Route(Do.SEARCH_TYPE, "Patient", compartment=Ref("Patient", "p"))),
        ("GET", "/Encounter/e/*", Route(Do.SEARCH_SYSTEM, compartment=Ref("Encounter", "e"))),
        ("POST", "/Patient/p/*/_search", Route(Do.SEARCH_SYSTEM, compartment=Ref("Patient", "p"))),
    ],
)
def test_an_address_means_an_interaction(method: str, path: str, expected: Route) -> None:
    assert route(method, path) == expected


@pytest.mark.parametrize("url", ["Patient/p?a=1&b=&a=2", "/Patient/p?a=1&b=&a=2", f"{BASE}/Patient/p?a=1&b=&a=2"])
def test_an_entry_is_relative_or_below_our_base(url: str) -> None:
    found, params = route_url("GET", url, base_url=BASE)

    assert found == Route(Do.READ, "Patient", "p")
    assert params == (("a", "1"), ("b", ""), ("a", "2"))


def test_every_address_of_the_table_leads_to_its_interaction() -> None:
    filled = {"{compartment}": "Patient", "{type}": "Patient", "{id}": "p", "{version}": "2", "{operation}": "$meta"}
    for method, path, interaction in addresses():
        for name, value in filled.items():
            path = path.replace(name, value).replace("$$", "$")
        assert route(method, path).interaction is interaction


@pytest.mark.parametrize(
    ("method", "path", "refusal"),
    [
        pytest.param("GET", "Patient/$everythin", BadRequest, id="unknown"),
        pytest.param("GET", "Observation/o/$lastn", BadRequest, id="of the type, not of one"),
        pytest.param("GET", "$validate", BadRequest, id="not of the whole server"),
        pytest.param("GET", "Patient/p/$meta-add", MethodNotAllowed, id="a change by GET"),
        pytest.param("POST", "Patient/p/_history/1/$meta-add", BadRequest, id="a change of a version"),
        pytest.param("GET", "Patient/p/_history/1/$everything", BadRequest, id="not of a version"),
        pytest.param("HEAD", "Patient/p/$meta-add", MethodNotAllowed, id="a change by HEAD"),
        pytest.param("PUT", "Patient/p/$meta", MethodNotAllowed, id="no method of operations"),
    ],
)
def test_an_operation_is_called_where_and_how_it_is_defined(method: str, path: str, refusal: type[FacadeError]) -> None:
    with pytest.raises(refusal):
        route(method, path)


def test_an_operation_may_be_asked_for_its_head() -> None:
    assert route("HEAD", "Patient/p/$meta").operation == "$meta"


@given(st.sampled_from(["GET", "PUT", "PATCH"]), st.text(max_size=40) | st.sampled_from(["//[", "http://]/", "?", "#"]))
def test_whatever_an_entry_asks_for_is_routed_or_refused(method: str, url: str) -> None:
    with contextlib.suppress(BadRequest, NotFound, MethodNotAllowed):
        assert route_url(method, url, base_url=BASE)[0].interaction in Do
