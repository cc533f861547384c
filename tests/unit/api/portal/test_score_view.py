"""A score as a page shows it."""

from datetime import UTC, date, datetime

import pytest

from fhir_facade.api.pages.texts import LANGUAGES, texts
from fhir_facade.api.portal.score_view import CIRCUMFERENCE, score_view
from fhir_facade.api.portal.wording import Wording
from fhir_facade.rules.score import compute
from terminology.canonical import LOINC, UCUM

DAY = date(2026, 3, 30)
ENGLISH = Wording(texts("en"), UTC, datetime(2026, 3, 30, 18, tzinfo=UTC))


def sleeps(hours):
    """The main sleeps of a week."""
    return [
        {
            "resourceType": "Observation",
            "id": f"sleep-{day}",
            "status": "final",
            "code": {"coding": [{"system": LOINC, "code": "93832-4"}]},
            "effectivePeriod": {"start": f"2026-03-{day}T00:00:00Z", "end": f"2026-03-{day}T08:00:00Z"},
            "valueQuantity": {"value": hours * 60, "unit": "min", "system": UCUM, "code": "min"},
        }
        for day in range(21, 28)
    ]


def score(observations, language="en"):
    found = compute(observations, patient_id="p1", birth_date="1980-05-17", zone="UTC", day=DAY, language=language)
    assert isinstance(found, dict)
    return found


def test_few_parts_are_preliminary_and_the_others_are_missing():
    shown = score_view(score(sleeps(8)), ENGLISH, "en")
    assert shown.value == "100"
    assert shown.arc == pytest.approx(CIRCUMFERENCE)
    assert shown.heading == "Preliminary: 1 of 8 parts are known"
    assert shown.level == "none"
    assert [part.name for part in shown.parts if part.points is not None] == ["Sleep"]
    assert len(shown.parts) == 8
    assert shown.when == "today"


def test_no_part_is_no_number():
    shown = score_view(score([]), ENGLISH, "en")
    assert (shown.value, shown.arc) == ("–", 0)
    assert shown.heading == "Preliminary: 0 of 8 parts are known"


def test_a_category_is_said_in_words():
    final = score(sleeps(8))
    final["interpretation"] = [
        {"coding": [{"system": "https://fhir-facade.org/fhir/CodeSystem/cvh-category", "code": "moderate"}]}
    ]
    assert score_view(final, ENGLISH, "en").heading == "Moderate: there is room to improve"


@pytest.mark.parametrize("stored", LANGUAGES)
@pytest.mark.parametrize("reader", LANGUAGES)
def test_everything_is_in_the_language_of_the_reader_whatever_is_stored(stored, reader):
    shown = score_view(score(sleeps(5), stored), Wording(texts(reader), UTC, ENGLISH.now), reader)
    assert shown.language == reader
    assert ("Schlaf" in {part.name for part in shown.parts}) is (reader == "de")
    assert ("Schlaf: 5 h" in shown.explanation) is (reader == "de")
    assert shown.advice.startswith("Nächster" if reader == "de" else "Next")
    assert shown.disclaimer.startswith("Nur" if reader == "de" else "For")


@pytest.mark.parametrize("stored", LANGUAGES)
def test_a_score_from_before_its_sentences_could_be_made_anew_says_in_which_language_they_are(stored):
    old = score(sleeps(5), stored)
    for component in old["component"]:
        del component["extension"]
    shown = score_view(old, ENGLISH, "en")
    assert shown.language == stored
    assert shown.explanation == old["note"][0]["text"]
    assert shown.advice == old["note"][1]["text"]
