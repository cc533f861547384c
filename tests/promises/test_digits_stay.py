"""Every decimal digit and every fraction of a second leaves as it came, whichever way in and whichever way out.

https://hl7.org/fhir/R4/datatypes.html#decimal, on the embedded store; tests/contract/test_fidelity.py asks each store.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.promises.world import World, opened_world

FHIR = {"Content-Type": "application/fhir+json"}
MERGE = {"Content-Type": "application/merge-patch+json"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
written = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with opened_world(tmp_path_factory.mktemp("digits")) as world:
        yield world


DECIMALS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,2})?", fullmatch=True
) | st.sampled_from(
    ["1.50", "1e3", "0.1000", "12345678901234567890", "-0", "-0.0", "1E-10", "100", "0.30000000000000004", "1.0e+02"]
)
INSTANTS = st.from_regex(
    r"20[0-9]{2}-0[1-9]-(1[0-9]|2[0-8])T(0[0-9]|1[0-9]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]0[0-9]:[03]0)",
    fullmatch=True,
)


def observation(value: str, when: str, own: str = "") -> bytes:
    named = f'"id":"{own}",' if own else ""
    return (
        f'{{"resourceType":"Observation",{named}"status":"final","code":{{"text":"x"}},"effectiveDateTime":"{when}",'
        f'"valueQuantity":{{"value":{value},"unit":"x"}},"component":[{{"code":{{"text":"y"}},"valueQuantity":'
        f'{{"value":{value}}}}}],"extension":[{{"url":"http://example.org/e","valueDecimal":{value}}}]}}'
    ).encode()


def by_post(world: World, value: str, when: str) -> str:
    return str(world.ask("POST", "/Observation", content=observation(value, when), headers=FHIR).json()["id"])


def by_put(world: World, value: str, when: str) -> str:
    own = str(uuid.uuid4())
    assert (
        world.ask("PUT", f"/Observation/{own}", content=observation(value, when, own), headers=FHIR).status_code == 201
    )
    return own


def by_bundle(world: World, value: str, when: str, kind: str) -> str:
    """The entry refers to another by its urn, so that the body is rewritten on its way."""
    body = observation(value, when)[:-1] + b',"subject":{"reference":"urn:uuid:6f5f0b8e-0000-4000-8000-000000000000"}}'
    patient = (
        b'{"fullUrl":"urn:uuid:6f5f0b8e-0000-4000-8000-000000000000","resource":{"resourceType":"Patient","active":true},'
        b'"request":{"method":"POST","url":"Patient"}}'
    )
    entry = b'{"resource":' + body + b',"request":{"method":"POST","url":"Observation"}}'
    entries = (
        patient + b"," + entry if kind == "transaction" else entry.replace(b"urn:uuid:6f5f0b8e", b"urn:uuid:00000000")
    )
    bundle = b'{"resourceType":"Bundle","type":"' + kind.encode() + b'","entry":[' + entries + b"]}"
    answer = world.ask("POST", "", content=bundle, headers=FHIR).json()
    return str(answer["entry"][-1]["response"]["location"].split("/")[-3])


def by_transaction(world: World, value: str, when: str) -> str:
    return by_bundle(world, value, when, "transaction")


def by_json_patch(world: World, value: str, when: str) -> str:
    own = by_post(world, "7.70", "2019-01-01")
    patch = (
        f'[{{"op":"replace","path":"/valueQuantity/value","value":{value}}},'
        f'{{"op":"replace","path":"/component/0/valueQuantity/value","value":{value}}},'
        f'{{"op":"replace","path":"/extension/0/valueDecimal","value":{value}}},'
        f'{{"op":"replace","path":"/effectiveDateTime","value":"{when}"}}]'
    )
    assert world.ask("PATCH", f"/Observation/{own}", content=patch.encode(), headers=JSON_PATCH).status_code == 200
    return own


def by_a_patch_of_something_else(world: World, value: str, when: str) -> str:
    own = by_post(world, value, when)
    answer = world.ask("PATCH", f"/Observation/{own}", content=b'{"status":"amended"}', headers=MERGE)
    assert answer.json()["meta"]["versionId"] == "2"
    return own


def by_fhirpath_patch(world: World, value: str, when: str) -> str:
    own = by_post(world, "7.70", when)

    def replaced(path: str) -> str:
        return (
            '{"name":"operation","part":[{"name":"type","valueCode":"replace"},'
            f'{{"name":"path","valueString":"{path}"}},{{"name":"value","valueDecimal":{value}}}]}}'
        )

    paths = ("Observation.value.value", "Observation.component[0].value.value", "Observation.extension[0].value")
    body = f'{{"resourceType":"Parameters","parameter":[{",".join(map(replaced, paths))}]}}'.encode()
    answer = world.ask("PATCH", f"/Observation/{own}", content=body, headers=FHIR)
    assert answer.status_code == 200, answer.text
    return own


WAYS_IN: dict[str, Callable[[World, str, str], str]] = {
    "create": by_post,
    "update": by_put,
    "transaction": by_transaction,
    "JSON patch": by_json_patch,
    "patch of something else": by_a_patch_of_something_else,
    "FHIRPath patch": by_fhirpath_patch,
}
WAYS_OUT = (
    "Observation/{0}",
    "Observation/{0}?_pretty=true",
    "Observation/{0}/_history",
    "Observation?_id={0}",
    "Observation?_id={0}&_summary=data",
    "Observation?_id={0}&_elements=value,component,extension,effective",
)


@pytest.mark.parametrize("way", WAYS_IN)
@written
@given(DECIMALS, INSTANTS)
def test_what_goes_in_comes_out(world: World, way: str, value: str, when: str) -> None:
    own = WAYS_IN[way](world, value, when)

    for out in WAYS_OUT:
        answer = world.ask("GET", "/" + out.format(own))
        numbers = re.findall(rb'"(?:value|valueDecimal)": ?(-?[0-9][^,}\s]*)', newest(answer.content))
        assert numbers == [value.encode()] * 3, (way, out, answer.text)
        assert f'"{when}"'.encode() in answer.content, (way, out, answer.text)


def newest(body: bytes) -> bytes:
    """The first entry of a history; any other answer whole."""
    entries = msgspec.json.decode(body, type=Entries).entry
    return bytes(entries[0]) if entries else body


class Entries(msgspec.Struct):
    entry: list[msgspec.Raw] = []


@written
@given(DECIMALS)
def test_the_same_number_in_other_digits_is_another_version(world: World, value: str) -> None:
    own = by_put(world, value, "2026-01-01")
    same = world.ask("PUT", f"/Observation/{own}", content=observation(value, "2026-01-01", own), headers=FHIR)
    mantissa, exponent = re.fullmatch(r"([^eE]*)(.*)", value).groups()  # type: ignore[union-attr]
    other = f"{mantissa}{'0' if '.' in mantissa else '.0'}{exponent}"
    changed = world.ask("PUT", f"/Observation/{own}", content=observation(other, "2026-01-01", own), headers=FHIR)

    assert same.json()["meta"]["versionId"] == "1"
    assert changed.json()["meta"]["versionId"] == "2", (value, other)
