"""The sentences of a score are made from what is stored with it, in the language of whoever reads them."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fhir_facade.rules.score import Inputs, score, score_observation
from fhir_facade.rules.score.chart import Found
from fhir_facade.rules.score.parts import Activity, BloodPressure, Bmi, Diet, Glucose, Lipids, Nicotine, Part, Sleep
from fhir_facade.rules.score.tables import sentences, written_in
from fhir_facade.rules.score.telling import DETAIL, Told, inputs_of, told

DAY = date(2026, 8, 10)
SOME: dict[str, Found] = {
    "le8-activity": Found(Activity(Decimal(60)), ("Observation/a1",), days=(5, 7)),
    "le8-sleep": Found(Sleep(Decimal("6.4")), ("Observation/s1",)),
    "le8-bmi": Found(Bmi(Decimal(17))),
    "le8-blood-pressure": Found(BloodPressure(Decimal(125), Decimal(78))),
    "le8-glucose": Found(Glucose(hba1c=Decimal("6.7"))),
    "le8-lipids": Found(reason="no-data", detail={"days": "365"}),
    "le8-nicotine": Found(reason="not-asked"),
    "le8-diet": Found(reason="too-few", detail={"found": "3", "needed": "4", "days": "7"}),
}


def stored(parts: dict[str, Found], language: str = "en") -> dict[str, Any]:
    """The score as it comes back from a store."""
    observation = score_observation(score(Inputs(DAY, parts)), "p1", language=language)
    text = msgspec.json.Encoder(decimal_format="number").encode(observation)
    found: dict[str, Any] = json.loads(text, parse_float=Decimal)
    return found


def said(language: str = "en", /, **parts: Part) -> Told:
    found = told(stored({f"le8-{name}": Found(part) for name, part in parts.items()})["component"], language)
    assert found is not None
    return found


@pytest.mark.parametrize("reader", ["en", "de"])
@pytest.mark.parametrize("stored_in", ["en", "de"])
def test_a_reader_is_told_the_same_whatever_language_it_is_stored_in(stored_in: str, reader: str) -> None:
    other = told(stored(SOME, stored_in)["component"], reader)
    assert other is not None
    assert other.notes == stored(SOME, reader)["note"]


def test_every_number_is_in_the_sentences_as_the_language_writes_it() -> None:
    english, german = (told(stored(SOME)["component"], language) for language in ("en", "de"))
    assert english is not None
    assert german is not None
    assert "Sleep: 6.4 h gives 70 of 100 points." in english.explanation
    assert "Schlaf: 6,4 h ergibt 70 von 100 Punkten." in german.explanation
    assert "60 min/wk, estimated from 5 of 7 days," in english.explanation
    assert "125/78 mmHg" in german.explanation
    assert "HbA1c 6,7 %" in german.explanation
    assert "under 18.5 kg/m²" in english.explanation
    assert "unter 18,5 kg/m²" in german.explanation
    assert "3 von mindestens 4 in den letzten 7 Tagen" in german.explanation
    assert "unbestätigt" in german.explanation


def test_a_score_from_before_there_were_details_is_told_by_its_own_notes_only() -> None:
    components = stored(SOME)["component"]
    del components[2]["extension"]
    assert told(components, "en") is None
    for component in components:
        component["extension"] = [{"url": "https://example.org/other", "valueCode": "x"}]
    assert told(components, "en") is None
    assert told([], "en") is None


def test_a_component_keeps_what_was_measured_in_units_of_ucum() -> None:
    component = next(each for each in stored(SOME)["component"] if each["code"]["coding"][0]["code"] == "le8-sleep")
    (detail,) = component["extension"]
    assert detail["url"] == DETAIL
    assert detail["extension"][0] == {
        "url": "input",
        "valueQuantity": {"value": Decimal("6.4"), "unit": "h", "system": "http://unitsofmeasure.org", "code": "h"},
    }


def test_the_step_that_helps_most_is_the_one_with_the_most_points_to_win() -> None:
    advice = said(activity=Activity(Decimal(60)), sleep=Sleep(Decimal("3.5")), diet=Diet(Decimal(12))).advice
    assert advice is not None
    assert "Next best step: sleep." in advice
    assert "up to 100 points there and 33.33 to the score" in advice


def test_a_former_smoker_is_not_told_to_become_a_never_smoker() -> None:
    advice = said(nicotine=Nicotine(quit_years=Decimal(6))).advice
    assert advice is not None
    assert "keep going" in advice


def test_nothing_known_means_no_step() -> None:
    assert said(bmi=Bmi(Decimal(17))).advice is None


@pytest.mark.parametrize(
    ("name", "part", "shown"),
    [
        ("nicotine", Nicotine(current=True), "smoking"),
        ("nicotine", Nicotine(inhaled_nds=True), "vaping"),
        ("nicotine", Nicotine(quit_years=Decimal(2)), "quit smoking"),
        ("nicotine", Nicotine(), "never smoked"),
        ("glucose", Glucose(fasting=Decimal("90.08")), "90 mg/dL"),
        ("glucose", Glucose(hba1c=Decimal("5.44")), "HbA1c 5.4 %"),
        ("diet", Diet(Decimal(10)), "10/16"),
        ("activity", Activity(Decimal(100)), "100 min/wk"),
        ("bmi", Bmi(Decimal("24.93")), "24.9 kg/m²"),
        ("lipids", Lipids(Decimal("119.6")), "120 mg/dL"),
        ("blood_pressure", BloodPressure(Decimal("124.5"), Decimal(78)), "125/78 mmHg"),
    ],
    ids=repr,
)
def test_values_are_shown_as_a_person_reads_them(name: str, part: Part, shown: str) -> None:
    found = told(stored({f"le8-{name.replace('_', '-')}": Found(part)})["component"], "en")
    assert found is not None
    assert f": {shown} gives" in found.explanation


def test_something_that_is_no_part_has_no_numbers() -> None:
    with pytest.raises(TypeError, match="no part of the score"):
        inputs_of("sleep")


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_language_of_a_score_is_known_by_its_last_sentence(language: str) -> None:
    assert written_in(sentences(language).disclaimer) == language


def test_notes_of_somebody_else_are_taken_for_english() -> None:
    assert written_in("Never mind.") == "en"
