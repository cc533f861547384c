from __future__ import annotations

import copy
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fhir.resources.R4B.observation import Observation
from hypothesis import given
from hypothesis import strategies as st

from mappers.google_health import UnknownDataType, to_observations, types
from mappers.observation import MapContext, identity_key
from profiles import vital_signs
from terminology import ucum
from terminology.canonical import deterministic_id
from terminology.codes import display

DATA = Path(__file__).parents[2] / "data" / "google-health"
DESCRIPTION = Path(__file__).parents[4] / "shared" / "data" / "google-health" / "discovery-v4.json"
CONTEXT = MapContext("p1", "1001", "Device/d1")


def read(name: str) -> Any:
    return msgspec.json.Decoder(float_hook=Decimal).decode((DATA / name).read_bytes())


def payload(data_type: str) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = read(f"{data_type}.json")
    return records


def single(data_type: str, change: Any = None) -> tuple[list[dict[str, Any]], Any]:
    record = copy.deepcopy(payload(data_type)[0])
    if change is not None:
        change(record)
    result = to_observations(data_type, [record], CONTEXT)
    return result.observations, result


def night() -> dict[str, Any]:
    return copy.deepcopy(next(r for r in payload("sleep") if r["dataPointName"].endswith("/9001")))


def component(observation: dict[str, Any], code: str) -> Any:
    found = [c for c in observation.get("component", []) if c["code"]["coding"][0]["code"] == code]
    return found[0] if found else None


def test_a_data_type_without_a_row_is_refused_with_the_list_of_those_that_have_one() -> None:
    with pytest.raises(UnknownDataType, match="there is one for active-minutes"):
        to_observations("moods", [], CONTEXT)


@pytest.mark.parametrize("data_type", sorted(types()))
@pytest.mark.parametrize("record", [{}, [], "text", None, {"weight": "heavy", "sleep": 5, "steps": []}], ids=repr)
def test_a_record_that_cannot_be_read_is_skipped_and_the_others_go_on(data_type: str, record: Any) -> None:
    result = to_observations(data_type, [record, *payload(data_type)], CONTEXT)
    assert len(result.observations) == len(read(f"{data_type}.fhir.json"))
    assert result.skipped[0].key is None
    assert not result.skipped[0].expected
    assert result.skipped[0].data_type == data_type


@pytest.mark.parametrize("data_type", sorted(types()))
def test_an_empty_page_becomes_nothing(data_type: str) -> None:
    assert to_observations(data_type, [], CONTEXT).observations == []


@pytest.mark.parametrize(
    ("data_type", "member", "name"),
    [("steps", "steps", "countSum"), ("weight", "weight", "weightGrams"), ("body-fat", "bodyFat", "percentage")],
)
@pytest.mark.parametrize("value", ["many", -1, True, {"n": 1}], ids=repr)
def test_a_value_that_is_no_number_is_skipped_but_its_key_counts_as_seen(
    data_type: str, member: str, name: str, value: Any
) -> None:
    observations, result = single(data_type, lambda r: r[member].update({name: value}))
    assert observations == []
    assert result.skipped[0].key in result.keys
    assert not result.skipped[0].expected
    assert str(value) not in result.skipped[0].reason.split()


def test_an_unreadable_component_skips_the_record_instead_of_dropping_a_part() -> None:
    observations, result = single("heart-rate", lambda r: r["heartRate"].update(beatsPerMinuteMin="low"))
    assert observations == []
    assert result.skipped[0].reason == "beatsPerMinuteMin is not a number"


def test_a_sleep_that_ends_before_it_starts_is_skipped() -> None:
    record = night()
    record["sleep"]["interval"]["endTime"] = "2026-08-08T12:00:00Z"
    result = to_observations("sleep", [record], CONTEXT)
    assert result.observations == []
    assert "ends before it starts" in result.skipped[0].reason


@pytest.mark.parametrize("data_type", sorted(types()))
def test_records_become_the_observations_on_file(data_type: str) -> None:
    result = to_observations(data_type, payload(data_type), CONTEXT)
    encoded = msgspec.json.Encoder(decimal_format="number").encode(result.observations)
    assert json.loads(encoded, parse_float=str) == json.loads(
        (DATA / f"{data_type}.fhir.json").read_bytes(), parse_float=str
    )


@pytest.mark.parametrize("data_type", sorted(types()))
def test_every_observation_is_valid_fhir_with_shipped_codes_and_units(data_type: str) -> None:
    for observation in to_observations(data_type, payload(data_type), CONTEXT).observations:
        assert Observation.model_validate(json.loads(msgspec.json.Encoder(decimal_format="number").encode(observation)))
        for part in (observation, *observation.get("component", ())):
            for coding in part["code"]["coding"]:
                assert display(coding["system"], coding["code"]) == coding["display"]
            if "valueQuantity" in part:
                assert isinstance(part["valueQuantity"]["value"], Decimal)
                assert part["valueQuantity"]["code"] in ucum.table()


@pytest.mark.parametrize("data_type", sorted(types()))
def test_every_observation_holds_the_vital_signs_profiles(data_type: str) -> None:
    for observation in to_observations(data_type, payload(data_type), CONTEXT).observations:
        assert vital_signs.check(observation) == []


def test_a_replay_yields_the_same_ids_and_a_changed_value_keeps_its_id() -> None:
    first, again = single("steps")[0], single("steps")[0]
    changed = single("steps", lambda r: r["steps"].update(countSum="8000"))[0]
    assert first == again
    assert changed[0]["id"] == first[0]["id"]
    assert changed[0]["valueQuantity"]["value"] == 8000


def test_id_and_identifier_come_from_the_same_key() -> None:
    observation = single("weight")[0][0]
    key = identity_key("p1", "google-health", "1001", "weight", "6685309773198399080")
    assert observation["id"] == deterministic_id(key)
    assert observation["identifier"][0]["value"] == key


def test_two_patients_and_two_accounts_never_share_an_id() -> None:
    contexts = [CONTEXT, MapContext("p2", "1001"), MapContext("p1", "1002"), MapContext("p1", "1001", vendor="other")]
    ids = {to_observations("steps", payload("steps")[:1], context).observations[0]["id"] for context in contexts}
    assert len(ids) == 4


def test_steps_count_a_zero_sum_and_an_absent_sum_as_zero() -> None:
    values = [o["valueQuantity"]["value"] for o in to_observations("steps", payload("steps"), CONTEXT).observations]
    assert values == [7428, 0, 0]


def test_a_rollup_row_without_its_member_is_a_day_without_data() -> None:
    observations, result = single("steps", lambda r: r.pop("steps"))
    assert observations == []
    assert result.skipped[0].expected
    assert result.keys == [result.skipped[0].key]


def test_a_number_is_read_where_the_description_promises_text() -> None:
    assert single("steps", lambda r: r["steps"].update(countSum=7428))[0][0]["valueQuantity"]["value"] == 7428


def test_a_breathing_rate_of_zero_was_not_computed_and_becomes_nothing() -> None:
    result = to_observations("daily-respiratory-rate", payload("daily-respiratory-rate"), CONTEXT)
    assert len(result.observations) == 1
    assert [skipped.expected for skipped in result.skipped] == [True]


def test_resting_heart_rate_carries_both_codes_so_that_the_heart_rate_profile_holds() -> None:
    observation = single("daily-resting-heart-rate")[0][0]
    assert [c["code"] for c in observation["code"]["coding"]] == ["40443-4", "8867-4"]
    assert observation["effectiveDateTime"] == "2026-08-09"


def test_heart_rate_variability_is_named_rmssd() -> None:
    for observation in to_observations(
        "daily-heart-rate-variability", payload("daily-heart-rate-variability"), CONTEXT
    ).observations:
        assert "rmssd" in observation["code"]["coding"][0]["code"]
        assert "rmssd" in observation["code"]["text"]


def test_weight_is_exact_kilograms_at_the_clock_of_the_record() -> None:
    observation = single("weight")[0][0]
    assert str(observation["valueQuantity"]["value"]) == "87.09"
    assert observation["effectiveDateTime"] == "2026-08-07T10:46:22.749-04:00"
    assert observation["method"]["coding"][0]["code"] == "manual"


def test_a_sample_without_a_name_is_known_by_its_time_in_utc() -> None:
    observation = single("weight", lambda r: r.pop("name"))[0][0]
    assert observation["identifier"][0]["value"].endswith("|weight|2026-08-07T14:46:22Z")


def test_a_sample_without_an_offset_is_shown_in_the_zone_of_the_person() -> None:
    record = payload("weight")[0]
    del record["weight"]["sampleTime"]["utcOffset"]
    context = MapContext("p1", "1001", zone="Europe/Berlin")
    observation = to_observations("weight", [record], context).observations[0]
    assert observation["effectiveDateTime"] == "2026-08-07T16:46:22.749+02:00"
    assert "device" not in observation


def test_active_minutes_become_one_observation_per_level_and_a_missing_level_is_zero() -> None:
    result = to_observations("active-minutes", payload("active-minutes"), CONTEXT)
    found = {
        (o["effectiveDateTime"], o["code"]["coding"][0]["code"]): int(o["valueQuantity"]["value"])
        for o in result.observations
    }
    assert found == {
        ("2026-08-09", "77592-4"): 32,
        ("2026-08-09", "77593-2"): 11,
        ("2026-08-09", "light-minutes"): 184,
        ("2026-08-08", "77592-4"): 5,
        ("2026-08-08", "77593-2"): 0,
        ("2026-08-08", "light-minutes"): 0,
    }


def test_one_night_is_one_observation_with_its_stages() -> None:
    observation = to_observations("sleep", [night()], CONTEXT).observations[0]
    assert observation["valueQuantity"]["value"] == 569
    assert observation["effectivePeriod"] == {
        "start": "2026-08-08T23:02:30-04:00",
        "end": "2026-08-09T08:39:30-04:00",
    }
    minutes = {
        code: component(observation, code)["valueQuantity"]["value"] for code in ("93831-6", "93830-8", "93829-0")
    }
    assert minutes == {"93831-6": 53, "93830-8": 382, "93829-0": 134}
    assert component(observation, "sleep-awake-minutes")["valueQuantity"]["value"] == 8


def test_a_classic_night_has_no_stages_instead_of_zeros() -> None:
    record = next(r for r in payload("sleep") if r["dataPointName"].endswith("/9000"))
    observation = to_observations("sleep", [record], CONTEXT).observations[0]
    assert component(observation, "93831-6") is None
    assert component(observation, "sleep-restless-minutes")["valueQuantity"]["value"] == 29


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"mainSleep": True, "processed": True}, "main-sleep"),
        ({"nap": True, "processed": True}, "nap"),
        ({"processed": True}, "additional-sleep"),
        (None, None),
    ],
)
def test_main_sleep_and_nap_are_told_apart(metadata: Any, expected: str | None) -> None:
    record = night()
    record["sleep"]["metadata"] = metadata
    kind = component(to_observations("sleep", [record], CONTEXT).observations[0], "sleep-kind")
    assert (kind and kind["valueCodeableConcept"]["coding"][0]["code"]) == expected


def test_a_sleep_in_work_is_preliminary_and_later_final_under_the_same_id() -> None:
    early, late = night(), night()
    early["sleep"]["metadata"]["processed"] = False
    del early["sleep"]["summary"]
    first = to_observations("sleep", [early], CONTEXT).observations[0]
    second = to_observations("sleep", [late], CONTEXT).observations[0]
    assert (first["status"], second["status"]) == ("preliminary", "final")
    assert first["dataAbsentReason"]["coding"][0]["code"] == "temp-unknown"
    assert first["id"] == second["id"]


def test_a_sleep_in_work_that_already_has_a_value_shows_it_as_preliminary() -> None:
    record = night()
    record["sleep"]["metadata"]["processed"] = False
    observation = to_observations("sleep", [record], CONTEXT).observations[0]
    assert (observation["status"], observation["valueQuantity"]["value"]) == ("preliminary", 569)


def test_a_sleep_that_is_done_but_has_no_summary_is_not_guessed() -> None:
    record = night()
    del record["sleep"]["summary"]
    result = to_observations("sleep", [record], CONTEXT)
    assert result.observations == []
    assert result.skipped[0].expected


def test_a_sleep_still_going_on_is_left_for_later_but_counts_as_seen() -> None:
    record = payload("sleep")[0]
    result = to_observations("sleep", [record], CONTEXT)
    assert result.observations == []
    assert result.skipped[0].expected
    assert result.keys == ["p1|google-health|1001|sleep|9003"]


def test_a_night_across_a_change_of_clocks_keeps_both_offsets() -> None:
    record = night()
    record["sleep"]["interval"] = {
        "startTime": "2026-10-24T21:00:00Z",
        "startUtcOffset": "+02:00",
        "endTime": "2026-10-25T06:00:00Z",
        "endUtcOffset": "3600s",
    }
    period = to_observations("sleep", [record], CONTEXT).observations[0]["effectivePeriod"]
    assert period == {"start": "2026-10-24T23:00:00+02:00", "end": "2026-10-25T07:00:00+01:00"}


@pytest.mark.parametrize("newest_first", [True, False])
def test_of_two_records_with_one_key_the_later_update_wins(newest_first: bool) -> None:
    old, new = night(), night()
    new["sleep"]["updateTime"] = "2026-08-09T14:00:00+01:00"
    new["sleep"]["summary"]["minutesAsleep"] = "560"
    result = to_observations("sleep", [new, old] if newest_first else [old, new], CONTEXT)
    assert [o["valueQuantity"]["value"] for o in result.observations] == [560]
    assert len(result.keys) == 1


def test_the_rows_of_the_table_are_complete() -> None:
    for name, row in types().items():
        assert row.scope.startswith("https://www.googleapis.com/auth/googlehealth."), name
        assert row.scope.endswith(".readonly"), name
        assert (row.filter is None) == (row.method == "dailyRollUp"), name
        assert len({measure.name for measure in row.measures}) == len(row.measures), name


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_no_garbage_raises(garbage: Any) -> None:
    for data_type, row in types().items():
        result = to_observations(data_type, [{row.member: garbage, "civilStartTime": garbage}, garbage], CONTEXT)
        assert result.observations == []


SCHEMAS_OF_RECORDS = {"dailyRollUp": "DailyRollupDataPoint", "list": "DataPoint", "reconcile": "ReconciledDataPoint"}


def unknown_members(value: Any, schema: dict[str, Any], schemas: dict[str, Any], path: str) -> list[str]:
    schema = schemas[schema["$ref"]] if "$ref" in schema else schema
    if schema.get("type") == "array":
        return [found for item in value for found in unknown_members(item, schema["items"], schemas, path)]
    if schema.get("type") != "object":
        return []
    known = schema.get("properties", {})
    return [
        found
        for name, inner in value.items()
        for found in (
            unknown_members(inner, known[name], schemas, f"{path}.{name}") if name in known else [f"{path}.{name}"]
        )
    ]


@pytest.mark.skipif(not DESCRIPTION.exists(), reason="the vendor's description is not beside the checkout")
@pytest.mark.parametrize("data_type", sorted(types()))
def test_the_payloads_have_the_shape_of_the_official_description(data_type: str) -> None:
    schemas = json.loads(DESCRIPTION.read_bytes())["schemas"]
    record_schema = schemas[SCHEMAS_OF_RECORDS[types()[data_type].method]]
    for record in payload(data_type):
        assert unknown_members(record, record_schema, schemas, data_type) == []
