"""Writing, alone and together: https://hl7.org/fhir/R4/http.html#update, #transaction."""

from __future__ import annotations

import json

import pytest

from fhir_facade.errors import BadRequest, Conflict, FacadeError, Gone, NotFound, PreconditionFailed
from fhir_facade.values import Absent, ExpectVersion, Precondition, Ref, Write
from tests.contract.case import Case


async def test_a_stale_version_is_refused_and_changes_nothing(case: Case) -> None:
    first = await case.put("Patient", "p", gender="female")
    second = await case.put("Patient", "p", gender="other")

    with pytest.raises(PreconditionFailed):
        await case.put("Patient", "p", gender="male", precondition=ExpectVersion(first.version))

    assert (await case.store.read(first.ref)).version == second.version


async def test_a_version_of_what_does_not_exist_is_refused_and_creates_nothing(case: Case) -> None:
    with pytest.raises(PreconditionFailed):
        await case.put("Patient", "p", precondition=ExpectVersion("1"))

    with pytest.raises(NotFound):
        await case.store.read(case.ref("Patient", "p"))


async def test_a_version_of_what_was_deleted_is_refused(case: Case) -> None:
    patient = await case.put("Patient", "p")
    deletion = await case.delete(patient.ref)

    with pytest.raises(PreconditionFailed):
        await case.put("Patient", "p", active=True, precondition=ExpectVersion(deletion.version))


async def test_what_should_be_absent_but_is_there_is_a_conflict(case: Case) -> None:
    first = await case.put("Patient", "p", gender="female")

    with pytest.raises(Conflict):
        await case.put("Patient", "p", gender="male", precondition=Absent())

    assert (await case.store.read(first.ref)).version == first.version


async def test_what_is_absent_or_deleted_satisfies_absent(case: Case) -> None:
    created = await case.put("Patient", "p", precondition=Absent())
    await case.delete(created.ref)

    again = await case.put("Patient", "p", precondition=Absent())

    assert (created.change, again.change) == ("created", "created")
    assert int(again.version) > int(created.version)


async def test_the_expected_version_may_be_replaced(case: Case) -> None:
    first = await case.put("Patient", "p", gender="female")

    second = await case.put("Patient", "p", gender="other", precondition=ExpectVersion(first.version))

    assert second.change == "updated"
    assert int(second.version) == int(first.version) + 1


async def test_a_put_tells_whether_it_created_changed_or_left_alone(case: Case) -> None:
    changes = [(await case.put("Patient", "p", gender=gender)).change for gender in ("female", "other", "other")]

    assert changes == ["created", "updated", "unchanged"]


async def test_an_equal_put_keeps_version_time_and_history(case: Case) -> None:
    first = await case.put("Patient", "p", gender="female", meta={"source": "https://example.org/feed"})

    again = await case.put("Patient", "p", gender="female", meta={"source": "https://example.org/feed"})

    assert (again.change, again.version, again.last_updated) == ("unchanged", first.version, first.last_updated)
    assert json.loads(again.body) == json.loads(first.body)


async def test_an_equal_resource_with_the_expected_version_is_unchanged(case: Case) -> None:
    first = await case.put("Patient", "p", gender="female")

    again = await case.put("Patient", "p", gender="female", precondition=ExpectVersion(first.version))

    assert (again.change, again.version) == ("unchanged", first.version)


async def test_last_updated_rises_with_the_version(case: Case) -> None:
    first = await case.put("Patient", "p", gender="female")
    second = await case.put("Patient", "p", gender="other")

    assert second.last_updated > first.last_updated


@pytest.mark.parametrize("together", [False, True])
async def test_stamps_that_are_sent_mean_nothing(case: Case, together: bool) -> None:
    sent = {"versionId": "77", "lastUpdated": "0001-01-01T00:00:00+14:00"}
    tagged = {**sent, "tag": [{"system": "urn:t", "code": "a"}]}
    writes = [case.put_of(case.resource("Patient", label, meta=meta)) for label, meta in (("p", sent), ("q", tagged))]

    stored = [*await case.store.write(writes)] if together else [(await case.store.write([one]))[0] for one in writes]

    for told in stored:
        read = await case.store.read(told.ref)
        assert json.loads(told.body)["meta"] == json.loads(read.body)["meta"]
        assert (told.version, told.last_updated) == ("1", read.last_updated)
        assert json.loads(told.body)["meta"]["lastUpdated"].startswith(f"{told.last_updated:%Y-%m-%dT%H:%M:%S}")


async def test_tags_and_labels_are_those_of_the_last_write(case: Case) -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    await case.put("Patient", "p", meta={"tag": [{"system": "urn:t", "code": "old"}], "security": [label]})

    await case.put("Patient", "p", meta={"tag": [{"system": "urn:t", "code": "new"}]})

    meta = json.loads((await case.store.read(case.ref("Patient", "p"))).body)["meta"]
    assert meta["tag"] == [{"system": "urn:t", "code": "new"}]
    assert "security" not in meta


async def test_the_id_of_the_write_counts_whatever_the_body_says(case: Case) -> None:
    ref = case.ref("Patient", "p")
    body = b'{"resourceType":"Patient","id":"other","meta":{"versionId":"7"},"gender":"female"}'

    (stored,) = await case.store.write([Write("put", ref, body, json.loads(body))])

    assert (stored.ref, stored.version) == (ref, "1")


# --- deleting -------------------------------------------------------------------------------------------------


async def test_a_delete_makes_a_version_without_a_body(case: Case) -> None:
    patient = await case.put("Patient", "p")

    deletion = await case.delete(patient.ref)

    assert (deletion.change, deletion.deleted, deletion.body) == ("deleted", True, b"")
    assert int(deletion.version) == int(patient.version) + 1
    assert deletion.last_updated > patient.last_updated


async def test_deleting_again_or_what_was_never_there_changes_nothing(case: Case) -> None:
    patient = await case.put("Patient", "p")
    deletion = await case.delete(patient.ref)

    again = await case.delete(patient.ref)
    never = await case.delete(case.ref("Patient", "nobody"))

    assert (again.change, again.version) == ("unchanged", deletion.version)
    assert (never.change, never.deleted) == ("unchanged", True)


async def test_a_delete_of_a_stale_version_is_refused(case: Case) -> None:
    first = await case.put("Patient", "p", gender="female")
    await case.put("Patient", "p", gender="other")

    with pytest.raises(PreconditionFailed):
        await case.delete(first.ref, precondition=ExpectVersion(first.version))

    assert not (await case.store.read(first.ref)).deleted


async def test_what_was_deleted_comes_back_with_a_higher_version(case: Case) -> None:
    patient = await case.put("Patient", "p")
    deletion = await case.delete(patient.ref)

    again = await case.put("Patient", "p")

    assert again.change == "created"
    assert int(again.version) == int(deletion.version) + 1


# --- several at once ------------------------------------------------------------------------------------------


async def test_nothing_to_write_is_nothing_written(case: Case) -> None:
    assert list(await case.store.write([])) == []


async def test_answers_come_in_the_order_of_the_writes(case: Case) -> None:
    labels = ["z", "a", "m"]

    answers = await case.store.write([case.put_of(case.resource("Patient", label)) for label in labels])

    assert [answer.id for answer in answers] == [case.ref("Patient", label).id for label in labels]
    assert {answer.change for answer in answers} == {"created"}


async def test_one_transaction_creates_changes_leaves_alone_and_deletes(case: Case) -> None:
    await case.put("Patient", "changed", gender="female")
    await case.put("Patient", "same", gender="female")
    await case.put("Patient", "deleted")

    answers = await case.store.write(
        [
            Write("delete", case.ref("Patient", "deleted")),
            case.put_of(case.resource("Patient", "same", gender="female")),
            case.put_of(case.resource("Patient", "changed", gender="other")),
            case.put_of(case.resource("Patient", "new")),
            Write("delete", case.ref("Patient", "nobody")),
        ]
    )

    assert [answer.change for answer in answers] == ["deleted", "unchanged", "updated", "created", "unchanged"]
    assert [json.loads(answer.body)["gender"] for answer in answers[1:3]] == ["female", "other"]
    with pytest.raises(Gone):
        await case.store.read(case.ref("Patient", "deleted"))


@pytest.mark.parametrize(
    ("precondition", "error"),
    [
        pytest.param(ExpectVersion("1"), PreconditionFailed, id="a stale version"),
        pytest.param(Absent(), Conflict, id="not absent"),
    ],
)
async def test_one_refused_condition_refuses_the_whole_transaction(
    case: Case, precondition: Precondition, error: type[FacadeError]
) -> None:
    await case.put("Patient", "guard", gender="female")
    await case.put("Patient", "guard", gender="other")

    with pytest.raises(error):
        await case.store.write(
            [
                case.put_of(case.resource("Patient", "a")),
                case.put_of(case.resource("Patient", "guard", gender="male"), precondition=precondition),
                case.put_of(case.resource("Patient", "z")),
            ]
        )

    assert await case.labels("Patient", "_sort=_id") == ["guard"]


async def test_resources_of_one_transaction_may_refer_to_each_other(case: Case) -> None:
    patient = case.ref("Patient", "p")

    await case.store.write(
        [
            case.put_of(case.resource("Observation", "o", subject={"reference": str(patient)})),
            case.put_of(case.resource("Patient", "p")),
        ]
    )

    observation = json.loads((await case.store.read(case.ref("Observation", "o"))).body)
    assert observation["subject"]["reference"] == str(patient)


async def test_a_transaction_tells_versions_and_times_as_a_read_does(case: Case) -> None:
    answers = await case.store.write([case.put_of(case.resource("Patient", label)) for label in "ab"])

    for answer in answers:
        read = await case.store.read(answer.ref)
        assert (read.version, read.last_updated, read.body) == (answer.version, answer.last_updated, answer.body)


async def test_a_condition_may_expect_a_version_or_absence_beside_free_writes(case: Case) -> None:
    guard = await case.put("Patient", "guard", gender="female")

    answers = await case.store.write(
        [
            case.put_of(case.resource("Patient", "guard", gender="other"), precondition=ExpectVersion(guard.version)),
            case.put_of(case.resource("Patient", "new"), precondition=Absent()),
            case.put_of(case.resource("Patient", "free")),
        ]
    )

    assert [answer.change for answer in answers] == ["updated", "created", "created"]


async def test_what_is_referred_to_cannot_be_deleted(case: Case) -> None:
    patient = await case.put("Patient", "p")
    referring = await case.put("Observation", "o", subject={"reference": str(patient.ref)})

    with pytest.raises(Conflict, match=f"{referring.ref}"):
        await case.delete(patient.ref)

    assert (await case.store.read(Ref("Patient", patient.id))).version == patient.version


async def test_a_reference_to_nothing_refuses_the_whole_transaction(case: Case) -> None:
    dangling = case.resource("Observation", "o", subject={"reference": str(case.ref("Patient", "nobody"))})

    for others in ((), ("a", "z")):
        with pytest.raises(BadRequest, match="nobody"):
            await case.store.write(
                [case.put_of(case.resource("Patient", label)) for label in others] + [case.put_of(dangling)]
            )

    assert await case.labels("Observation") == await case.labels("Patient") == []


async def test_a_tag_has_nothing_of_others_of_its_code(case: Case) -> None:
    """HAPI alone keeps the first tag of the same code that it knows, with its system, version and choice."""
    bare = {"code": case.name}
    tag, label = bare | {"system": "urn:t"}, bare | {"system": "urn:s"}
    chosen = tag | {"version": "2", "userSelected": True}
    await case.put("Patient", "a", meta={"tag": [chosen], "security": [label]})
    await case.put("Patient", "b", meta={"tag": [bare], "security": [bare]})
    await case.put("Patient", "c", meta={"tag": [bare, tag]})

    found = [json.loads((await case.store.read(case.ref("Patient", each))).body)["meta"] for each in "abc"]

    assert [meta.get("security") for meta in found] == [[label], [bare], None]
    assert [sorted(meta["tag"], key=len) for meta in found] == [[chosen], [bare], [bare, tag]]
    assert await case.labels("Patient", f"_tag=urn:t|{case.name}&_sort=_id") == ["a", "c"]
    assert await case.labels("Patient", f"_tag=|{case.name}&_sort=_id") == ["b", "c"]
    assert await case.labels("Patient", f"_tag:not=|{case.name}&_sort=_id") == ["a"]
