"""Number parameters and the precision that their digits imply: https://hl7.org/fhir/R4/search.html#number."""

from __future__ import annotations

import pytest

from tests.contract.case import Case

CHANCES = {"a": 0.149, "b": 0.15, "c": 0.2, "d": 0.2499, "e": 0.25}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("probability=0.9", "", id="nothing"),
        pytest.param("probability=gt0.2", "de", id="greater than the number itself"),
        pytest.param("probability=ge0.2", "cde", id="greater or equal"),
        pytest.param("probability=lt0.2", "ab", id="less"),
        pytest.param("probability=le0.2", "abc", id="less or equal"),
        pytest.param("probability=sa0.2", "de", id="starts after"),
        pytest.param("probability=eb0.2", "ab", id="ends before"),
        pytest.param("probability=ge0.15&probability=lt0.25", "bcd", id="from and until"),
        pytest.param("probability:missing=true", "f", id="missing"),
        pytest.param("probability:missing=false", "abcde", id="present"),
    ],
)
async def test_a_number_is_found(case: Case, asked: str, found: str) -> None:
    resources = [
        case.resource("RiskAssessment", label, prediction=[{"probabilityDecimal": chance}])
        for label, chance in CHANCES.items()
    ]
    await case.store.write([case.put_of(r) for r in [*resources, case.resource("RiskAssessment", "f")]])

    assert "".join(await case.labels("RiskAssessment", f"{asked}&_sort=_id")) == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("window-start=100", "b", id="the number itself"),
        pytest.param("window-start=100,300", "bd", id="one of a list"),
        pytest.param("window-start=ne100", "acd", id="another number"),
        pytest.param("window-start=1e2", "abc", id="an exponent has fewer digits"),
    ],
)
async def test_a_whole_number_is_found(case: Case, asked: str, found: str) -> None:
    starts = {"a": 99, "b": 100, "c": 101, "d": 300}
    await case.store.write(
        [
            case.put_of(
                case.resource("MolecularSequence", label, coordinateSystem=0, referenceSeq={"windowStart": start})
            )
            for label, start in starts.items()
        ]
    )

    assert "".join(await case.labels("MolecularSequence", f"{asked}&_sort=_id")) == found
