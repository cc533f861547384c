"""Entries of a batch go on side by side only where none of them can tell."""

from __future__ import annotations

import pytest

from fhir_facade.errors import BadRequest
from fhir_facade.interactions.places import NOWHERE, place_of, waits_for
from fhir_facade.values import FhirRequest, Interaction

READ = FhirRequest(Interaction.READ, "Patient", "p")
SEARCH = FhirRequest(Interaction.SEARCH_TYPE, "Observation", params=(("code", "x"),))
UPDATE = FhirRequest(Interaction.UPDATE, "Patient", "p", body=b'{"resourceType":"Patient","id":"p"}')
OTHER = FhirRequest(Interaction.UPDATE, "Patient", "q", body=b'{"resourceType":"Patient","id":"q"}')
CREATE = FhirRequest(Interaction.CREATE, "Observation", body=b'{"resourceType":"Observation"}')
ABOUT = FhirRequest(Interaction.CREATE, "Observation", body=b'{"subject":{"reference":"Patient/p"}}')
NUMBERED = FhirRequest(Interaction.CREATE, "Observation", body=b'{"identifier":[{"value":"n-1"}]}')
IF_NONE = FhirRequest(Interaction.CREATE, "Observation", body=b"{}", if_none_exist="identifier=urn:s|n-1")
ADDRESSED = FhirRequest(Interaction.UPDATE, "Observation", params=(("identifier", "n-1"),), body=b"{}")
IF_NONE_ELSE = FhirRequest(Interaction.CREATE, "Observation", body=b"{}", if_none_exist="identifier=urn:s|n-2")
BY_CODE = FhirRequest(Interaction.CREATE, "Observation", body=b"{}", if_none_exist="code=x")
ANY_NUMBER = FhirRequest(Interaction.CREATE, "Observation", body=b"{}", if_none_exist="identifier=urn:s|")
DELETE = FhirRequest(Interaction.DELETE, "Patient", "q")
ADD = FhirRequest(Interaction.OPERATION, "Patient", "p", operation="$meta-add")
EVERYTHING = FhirRequest(Interaction.OPERATION, "Patient", "p", operation="$everything")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(UPDATE, UPDATE, id="two updates of one resource"),
        pytest.param(READ, UPDATE, id="a read of what is updated"),
        pytest.param(UPDATE, ABOUT, id="an update and a reference to it"),
        pytest.param(IF_NONE, IF_NONE, id="two creates with one condition"),
        pytest.param(IF_NONE, NUMBERED, id="a condition and what meets it"),
        pytest.param(IF_NONE, ADDRESSED, id="two conditions on one identifier"),
        pytest.param(BY_CODE, CREATE, id="a condition without an identifier and a create"),
        pytest.param(ANY_NUMBER, CREATE, id="a condition on all identifiers of a system and a create"),
        pytest.param(SEARCH, CREATE, id="a search and a create"),
        pytest.param(DELETE, ABOUT, id="a delete and a create"),
        pytest.param(DELETE, READ, id="a delete and a read"),
        pytest.param(ADD, READ, id="an operation that changes something and a read"),
    ],
)
def test_whoever_could_tell_waits_in_both_orders(one: FhirRequest, other: FhirRequest) -> None:
    assert waits_for(place_of(one), [NOWHERE, place_of(other)])
    assert waits_for(place_of(other), [NOWHERE, place_of(one)])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(READ, READ, id="two reads of one resource"),
        pytest.param(SEARCH, SEARCH, id="two searches"),
        pytest.param(SEARCH, EVERYTHING, id="a search and an operation that changes nothing"),
        pytest.param(UPDATE, OTHER, id="updates of two resources"),
        pytest.param(CREATE, CREATE, id="two creates"),
        pytest.param(CREATE, UPDATE, id="a create and an update that it does not refer to"),
        pytest.param(IF_NONE, IF_NONE_ELSE, id="conditions on two identifiers"),
        pytest.param(READ, CREATE, id="a read and a create"),
    ],
)
def test_others_go_on_side_by_side(one: FhirRequest, other: FhirRequest) -> None:
    assert not waits_for(place_of(one), [place_of(other)])
    assert not waits_for(place_of(other), [place_of(one)])


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(BadRequest("no entry"), id="not read"),
        pytest.param(FhirRequest(Interaction.CREATE, "Patient", if_none_exist="Group?code=x"), id="another type"),
        pytest.param(FhirRequest(Interaction.OPERATION, operation="$nonsense"), id="no operation"),
    ],
)
def test_what_will_be_refused_waits_for_nobody(refused: FhirRequest | BadRequest) -> None:
    assert not waits_for(place_of(refused), [place_of(DELETE)])
