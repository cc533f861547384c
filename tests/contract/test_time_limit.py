"""No search keeps a store busy for longer than it is given. https://hl7.org/fhir/R4/valueset-issue-type.html"""

from __future__ import annotations

import uuid

import pytest

from fhir_facade.errors import TimedOut
from fhir_facade.ports import FhirStore
from tests.contract.case import Case

PATIENTS, NAMES, PIECES = 100, 20, 400


async def test_a_search_that_takes_too_long_ends_and_the_store_goes_on(hasty: FhirStore) -> None:
    case = Case(hasty, uuid.uuid4().hex[:12])
    name = [{"family": f"{number}{'Long' * 8}"} for number in range(NAMES)]
    people = [case.resource("Patient", f"p{number}", name=name) for number in range(PATIENTS)]
    written = await hasty.write([case.put_of(person) for person in people])
    pieces = ",".join(f"long{number}" for number in range(PIECES))

    with pytest.raises(TimedOut, match=r"this search of Patient takes more than 0\.02 s: narrow it") as refused:
        await case.search("Patient", f"family:contains={pieces}")

    assert (refused.value.status, refused.value.issues[0].code) == (503, "timeout")
    assert (await hasty.read(written[0].ref)).version == "1"
