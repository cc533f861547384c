"""The order of what a search finds: https://hl7.org/fhir/R4/search.html#sort."""

from __future__ import annotations

import pytest

from tests.contract.case import Case


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("_sort=_id", "abcd", id="by id"),
        pytest.param("_sort=-_id", "dcba", id="by id, descending"),
        pytest.param("_sort=birthdate", "badc", id="by a date, then id"),
        pytest.param("_sort=-birthdate", "cadb", id="by a date, descending, then id ascending"),
        pytest.param("_sort=family", "cdab", id="by a string"),
        pytest.param("_sort=gender,-birthdate", "dbca", id="by two keys"),
        pytest.param("_sort=-_lastUpdated", "dcba", id="by the time of writing, descending"),
    ],
)
async def test_a_page_is_ordered(case: Case, asked: str, found: str) -> None:
    people = {
        "a": {"birthDate": "1990-01-02", "gender": "male", "name": [{"family": "Young"}]},
        "b": {"birthDate": "1980-01-01", "gender": "female", "name": [{"family": "Zorn"}]},
        "c": {"birthDate": "2000-03-03", "gender": "male", "name": [{"family": "Abel"}]},
        "d": {"birthDate": "1990-01-02", "gender": "female", "name": [{"family": "Bauer"}]},
    }
    for label, elements in people.items():
        await case.put("Patient", label, **elements)

    assert "".join(await case.labels("Patient", asked)) == found


async def test_what_is_not_sorted_comes_in_the_order_of_its_creation(case: Case) -> None:
    for label in "dac":
        await case.put("Patient", label)
    await case.store.write([case.put_of(case.resource("Patient", label)) for label in "fbe"])
    await case.put("Patient", "d", gender="male")
    await case.delete(case.ref("Patient", "a"))
    await case.put("Patient", "a")
    first = await case.search("Patient", count=2)
    second = await case.search("Patient", count=2, cursor=first.cursor)

    assert "".join(await case.labels("Patient")) == "dacbef"
    assert case.labels_of(first) + case.labels_of(second) == list("dacb")


async def test_what_is_created_together_is_ordered_by_its_ids(case: Case) -> None:
    """Also where others are ordered by when what they refer to was first written."""
    people = [case.resource("Patient", label) for label in "zxy"]
    await case.store.write([case.put_of(resource) for resource in people])
    for label in "yzx":
        await case.put("Observation", label, subject={"reference": f"Patient/{case.name}-{label}"})

    assert "".join(await case.labels("Patient")) == "xyz"
    assert "".join(await case.labels("Observation", "_sort=subject")) == "xyz"


async def test_readings_of_one_moment_keep_their_order(case: Case) -> None:
    labels = [f"{number:02}" for number in range(12)]
    moment = {"effectiveDateTime": "2026-01-01T00:00:00Z"}
    await case.store.write([case.put_of(case.resource("Observation", label, **moment)) for label in labels])

    assert [await case.labels("Observation", "_sort=-date") for _ in range(3)] == [labels] * 3


CODES = {
    "a": [("http://b", "a")],
    "b": [("http://a", "z")],
    "c": [(None, "m")],
    "d": [],
    "e": [("http://b", "b"), ("http://a", "y")],
    "f": [("http://c", "0"), (None, "n")],
    "g": [("http://a", None)],
    "h": [("http://b", "a"), ("http://b", "c")],
    "i": [(None, "A"), ("http://z", "k")],
    "j": [("http://a", "x"), ("http://b", "0")],
    "k": [("http://b/a", "0")],
}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("_sort=code", "jebgahkficd", id="ascending"),
        pytest.param("_sort=-code", "ifkejhabgcd", id="descending"),
        pytest.param("_sort=combo-code", "jebgahkficd", id="of several elements"),
    ],
)
async def test_codes_are_ordered_by_system_then_by_code_what_lacks_one_last(case: Case, asked: str, found: str) -> None:
    for label, codings in CODES.items():
        coding = [
            {"display": "x"} | {k: v for k, v in zip(("system", "code"), each, strict=True) if v} for each in codings
        ]
        await case.put("Observation", label, code={"text": "x"} | ({"coding": coding} if coding else {}))

    assert "".join(await case.labels("Observation", asked)) == found


async def test_of_several_dates_the_first_counts_ascending_and_the_last_descending(case: Case) -> None:
    for label, years in {"a": ["2020", "2023"], "b": ["2021"], "c": ["2022", "2019"], "d": []}.items():
        stays = [{"location": {"display": "x"}, "period": {"start": f"{year}-01-01"}} for year in years]
        await case.put("Encounter", label, **({"location": stays} if stays else {}))

    assert "".join(await case.labels("Encounter", "_sort=location-period")) == "cabd"
    assert "".join(await case.labels("Encounter", "_sort=-location-period")) == "acbd"


async def test_references_are_ordered_by_when_their_targets_were_first_written(case: Case) -> None:
    for label in "zxy":
        await case.put("Patient", label)
    await case.put("Patient", "z", gender="male")
    about = {label: f"Patient/{case.name}-{label}" for label in "xyz"} | {"w": "http://example.org/Patient/w"}
    for label, reference in about.items():
        await case.put("Observation", label, subject={"reference": reference})
    await case.put("Observation", "v")

    assert "".join(await case.labels("Observation", "_sort=subject")) == "zxyvw"
    assert "".join(await case.labels("Observation", "_sort=-subject")) == "yxzvw"


async def test_numbers_are_ordered_by_all_their_digits(case: Case) -> None:
    chances = {"a": 0.1235, "b": 0.12345678901, "c": 0.123456789, "d": 0.12, "e": 0.1230}
    for label, chance in chances.items():
        await case.put("RiskAssessment", label, prediction=[{"probabilityDecimal": chance}])

    assert "".join(await case.labels("RiskAssessment", "_sort=probability")) == "decba"
    assert "".join(await case.labels("RiskAssessment", "_sort=-probability")) == "abced"


META = {
    "a": {"tag": [("urn:t", "m")], "profile": ["http://b"], "source": "http://s/2"},
    "b": {"tag": [("urn:t", "k"), ("urn:u", "z")], "profile": ["http://c", "http://a"]},
    "c": {"security": [("urn:s", "R")], "source": "http://s/1"},
    "d": {"tag": [("urn:t", "m")], "security": [("urn:s", "N")], "profile": ["http://d"]},
    "e": {"tag": [(None, "m")], "source": "http://s/2"},
}
BORN = {"a": "1990", "b": "1980", "c": "1980", "d": "1985", "e": "1980"}


@pytest.fixture
async def tagged(case: Case) -> Case:
    for label, given in META.items():
        meta = {
            name: [{"code": code} | ({"system": system} if system else {}) for system, code in value]
            if name in ("tag", "security")
            else value
            for name, value in given.items()
        }
        await case.put("Patient", label, meta=meta, birthDate=BORN[label])
    return case


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("_sort=_tag", "badec", id="by a tag, what has none last"),
        pytest.param("_sort=-_tag", "badec", id="by a tag, descending, what has none last"),
        pytest.param("_sort=_security", "dcabe", id="by a label"),
        pytest.param("_sort=-_security", "cdabe", id="by a label, descending"),
        pytest.param("_sort=_profile", "badce", id="by the first of several profiles"),
        pytest.param("_sort=-_profile", "dbace", id="by the last of several profiles"),
        pytest.param("_sort=_source", "caebd", id="by a source"),
        pytest.param("_sort=_source,-_id", "ceadb", id="by a source, then by the id"),
        pytest.param("_sort=birthdate,_source", "cebda", id="by a date, then by a source"),
        pytest.param("_sort=birthdate,-_source,_tag", "ecbda", id="by a date, a source and a tag"),
        pytest.param("_sort=_tag,birthdate", "bdaec", id="by a tag, then by a date"),
        pytest.param("_sort=_tag,birthdate,_source,-_id,_profile", "bdaec", id="by more than decides"),
    ],
)
async def test_what_is_said_of_a_resource_orders_it(tagged: Case, asked: str, found: str) -> None:
    counted = await tagged.search("Patient", asked, count=0, total=True)

    assert "".join(await tagged.labels("Patient", asked)) == found
    assert counted.total == len(META)


async def test_pages_by_a_tag_show_each_once_whatever_is_written_between_them(tagged: Case) -> None:
    page = await tagged.search("Patient", "_sort=_tag", count=2, total=True)
    shown, total = tagged.labels_of(page), page.total
    await tagged.put("Patient", "a", meta={"tag": [{"system": "urn:z", "code": "z"}]})
    await tagged.put("Patient", "c", meta={"tag": [{"system": "urn:a", "code": "a"}]})
    await tagged.delete(tagged.ref("Patient", "e"))
    while page.cursor is not None:
        page = await tagged.search("Patient", "_sort=_tag", count=2, total=True, cursor=page.cursor)
        shown += tagged.labels_of(page)

    assert (shown, total) == (["b", "a", "c", "d"], len(META))


async def test_what_is_sorted_by_twice_counts_once(case: Case) -> None:
    """Of several values the other one would decide in the other direction."""
    for label, chances in {"a": [0.1, 0.2], "b": [0.1, 0.3], "c": [0.1]}.items():
        await case.put("RiskAssessment", label, prediction=[{"probabilityDecimal": chance} for chance in chances])

    assert "".join(await case.labels("RiskAssessment", "_sort=probability,-probability")) == "abc"
    assert "".join(await case.labels("RiskAssessment", "_sort=-probability&_sort=probability")) == "bac"


async def test_texts_are_ordered_whatever_their_case_signs_behind_letters(case: Case) -> None:
    for label, family in {"a": "_under", "b": "under", "c": "Zorn", "d": "-dash", "e": "[box]", "f": "ängst"}.items():
        await case.put("Patient", label, name=[{"family": family}])

    assert "".join(await case.labels("Patient", "_sort=family")) == "dfbcea"
    assert await pages(case, "_sort=-family") == list("aecbfd")


async def pages(case: Case, asked: str) -> list[str]:
    """Pages of two, while each of what is there is written once more."""
    page = await case.search("Patient", asked, count=2)
    found = case.labels_of(page)
    for label, family in {"a": "_under", "c": "Zorn"}.items():
        await case.put("Patient", label, name=[{"family": family}], active=True)
    while page.cursor is not None:
        page = await case.search("Patient", asked, count=2, cursor=page.cursor)
        found += case.labels_of(page)
    return found
