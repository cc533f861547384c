"""Pages of search results are read as they were put together."""

from datetime import UTC, datetime

from fhir_facade.fhir.bundle import Found, searchset
from fhir_facade.fhir.searchset import ResultPage, read_searchset

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SELF = ("self", "https://facade.example/fhir/Patient?name=a")


def _page(*entries, links=(SELF,)):
    return searchset(entries, links=links, total=None, id="b1", now=NOW)


def test_the_bytes_of_each_resource_come_out_as_they_went_in():
    bodies = (b'{"resourceType":"Patient", "id":"p1"}', b'{"resourceType":"Observation","valueDecimal":1.50}')

    page = read_searchset(
        _page(Found(bodies[0], "match", "https://facade.example/fhir/Patient/p1"), Found(bodies[1], "include"))
    )

    assert page == ResultPage(bodies, ())


def test_the_next_page_is_asked_for_with_the_parameters_of_its_link():
    following = ("next", "https://facade.example/fhir/Patient?_page=a%20b&_count=2")

    assert read_searchset(_page(links=(SELF, following))).following == (("_page", "a b"), ("_count", "2"))


def test_an_empty_answer_has_neither():
    assert read_searchset(b'{"resourceType":"Bundle","type":"searchset"}') == ResultPage((), ())
