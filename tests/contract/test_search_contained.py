"""Which resources contain one of a type, as the facade asks it for `_contained`.

https://hl7.org/fhir/R4/search.html#contained
"""

from __future__ import annotations

from fhir_facade.fhir.match import CONTAINED
from fhir_facade.values import Match, TokenValue
from tests.contract.case import Case


def containing(type: str) -> Match:
    return Match(CONTAINED, "token", (TokenValue(None, type),))


async def test_containers_are_found_by_the_type_of_what_they_contain(case: Case) -> None:
    contained = {
        "medication": [{"resourceType": "Medication", "id": "m"}],
        "both": [{"resourceType": "Medication", "id": "m"}, {"resourceType": "Organization", "id": "o", "name": "x"}],
        "organization": [{"resourceType": "Organization", "id": "o", "name": "x"}],
    }
    for label, held in contained.items():
        derived = [{"url": "urn:held", "valueReference": {"reference": f"#{one['id']}"}} for one in held]
        await case.put("Observation", label, contained=held, extension=derived)
    await case.put("Observation", "nothing")
    criteria = case.query("Observation").criteria

    found = {
        kind: await case.labels("Observation", "_sort=_id", criteria=(*criteria, containing(kind)))
        for kind in ("Medication", "Organization", "Device")
    }

    assert found == {"Medication": ["both", "medication"], "Organization": ["both", "organization"], "Device": []}
