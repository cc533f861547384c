"""Build Observations with exact decimals and an identity that a repeat of the same record meets again:
https://hl7.org/fhir/R4/observation.html

    MapContext(patient_id, account, device_reference=None, vendor="google-health", zone=None)
    identity_key(patient, vendor, account, data_type, record_key) -> str     also Observation.identifier.value
    MapResult(observations, skipped, keys)    Skipped(data_type, reason, key, expected)

Numbers in the dicts are `Decimal`: encode with `msgspec.json.Encoder(decimal_format="number")`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from terminology import ucum
from terminology.canonical import (
    DATA_ABSENT_REASON,
    OBSERVATION_CATEGORY,
    OBSERVATION_METHOD,
    UCUM,
    deterministic_id,
    identifier_system,
)
from terminology.codes import coding, concept

Codes = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class MapContext:
    """Whose records these are. `account` is the vendor's user id; `zone` an IANA name for records without an offset."""

    patient_id: str
    account: str
    device_reference: str | None = None
    vendor: str = "google-health"
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that became no Observation. `expected`: nothing is wrong (a sleep still going on, a value the vendor
    did not compute). `key` is None when even the identity of the record could not be read."""

    data_type: str
    reason: str
    key: str | None = None
    expected: bool = False


@dataclass(frozen=True, slots=True)
class MapResult:
    """What a batch of records became.

    `keys` are the identities seen at the vendor, those of skipped records included: what is stored and not among them
    has vanished at the vendor, provided all pages were read and no skipped record lacks its key.
    """

    observations: list[dict[str, Any]]
    skipped: list[Skipped]
    keys: list[str]


def identity_key(patient: str, vendor: str, account: str, data_type: str, record_key: str) -> str:
    """The canonical key of a device Observation. It never holds the value, so a correction keeps its identity."""
    return f"{patient}|{vendor}|{account}|{data_type}|{record_key}"


def quantity(value: Decimal, code: str) -> dict[str, Any]:
    """A Quantity with all four members the vital signs profiles ask for."""
    return {"value": value, "unit": ucum.printed(code), "system": UCUM, "code": code}


def category(code: str) -> dict[str, Any]:
    """One entry of Observation.category."""
    return {"coding": [coding(OBSERVATION_CATEGORY, code)]}


def absent(reason: str) -> dict[str, Any]:
    """A dataAbsentReason."""
    return {"coding": [coding(DATA_ABSENT_REASON, reason)]}


def component(codes: Codes, value: Mapping[str, Any]) -> dict[str, Any]:
    """One component; `value` is its `value[x]` or `dataAbsentReason` member."""
    return {"code": concept(*codes), **value}


def device_observation(
    context: MapContext,
    *,
    key: str,
    codes: Codes,
    category_code: str,
    effective: Mapping[str, Any],
    value: Mapping[str, Any],
    status: str = "final",
    how: str | None = None,
    components: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """An Observation of a wearable in the order of the specification; `how` is a code of observation-method."""
    patient = {"reference": f"Patient/{context.patient_id}"}
    observation: dict[str, Any] = {
        "resourceType": "Observation",
        "id": deterministic_id(key),
        "identifier": [{"system": identifier_system(context.vendor), "value": key}],
        "status": status,
        "category": [category(category_code)],
        "code": concept(*codes),
        "subject": patient,
        **effective,
        "performer": [dict(patient)],
        **value,
    }
    if how is not None:
        observation["method"] = concept((OBSERVATION_METHOD, how))
    if context.device_reference is not None:
        observation["device"] = {"reference": context.device_reference}
    if components:
        observation["component"] = list(components)
    return observation
