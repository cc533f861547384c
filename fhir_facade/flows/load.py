"""Import of files: Bundles and NDJSON, through the door like everything else, with what was refused and why.

https://hl7.org/fhir/R4/bundle.html, https://hl7.org/fhir/uv/bulkdata/ (NDJSON)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from fhir_facade.errors import FacadeError, TooLarge
from fhir_facade.fhir.document import parse
from fhir_facade.flows.load_content import Content, Part, is_one_value, opened, too_long
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports
from fhir_facade.values import FhirRequest, Interaction, Principal

IMPORTER = Principal("engine", name="import")
CHUNK = 200
MOST_TOLD: Final = 1000
"""Refusals of one file that are kept in words; the others are counted."""


@dataclass(slots=True)
class Loaded:
    """What became of one file: counts by `Type outcome`, and one sentence per refusal; `untold` counts those beyond
    `MOST_TOLD`."""

    file: str
    counts: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    untold: int = 0

    def refuse(self, reason: str) -> None:
        if len(self.refused) < MOST_TOLD:
            self.refused.append(reason)
        else:
            self.untold += 1


@dataclass(frozen=True, slots=True)
class _Write:
    part: Part
    type: str
    id: str | None


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw(b"")


class _Bundle(msgspec.Struct, rename="camel"):
    resource_type: str = ""
    type: str = ""
    entry: list[_Entry] = []


class _Answer(msgspec.Struct):
    status: str = ""
    location: str = ""
    outcome: msgspec.Raw = msgspec.Raw(b"")


class _AnswerEntry(msgspec.Struct):
    response: _Answer = msgspec.field(default_factory=_Answer)


class _AnswerBundle(msgspec.Struct):
    entry: list[_AnswerEntry] = []


@dataclass(slots=True)
class _Course:
    """How much of a file is done, told in bytes as they lie on the disk: of a packed file that is read whole in
    proportion, and of one that is too long for that by how far it was read."""

    tell: Callable[[int], None]
    size: int
    content: int | None = None
    done: int = 0
    told: int = 0

    def advance(self, content: int, on_disk: int) -> None:
        self.done += content
        whole = self.content
        self._tell(on_disk if whole is None else self.size * self.done // max(whole, self.done, 1))

    def end(self) -> None:
        self._tell(self.size)

    def _tell(self, done: int) -> None:
        self.tell(done - self.told)
        self.told = done


async def load_files(
    ports: Ports, files: list[Path], tell: Callable[[int], None] = lambda _bytes: None
) -> AsyncIterator[Loaded]:
    """One result per file, as soon as it is done. `tell` hears how many further bytes of the files are done."""
    for file in files:
        result = Loaded(str(file))
        course = _Course(tell, file.stat().st_size)
        try:
            with opened(file, ports.deployment.max_batch_bytes) as content:
                await _load(ports, content, result, course)
        except FacadeError as error:
            result.refuse(str(error))
        course.end()
        yield result


async def _load(ports: Ports, content: Content, result: Loaded, course: _Course) -> None:
    most, whole = ports.deployment.max_body_bytes, content.whole
    bundle = None if whole is None else _bundle(whole)
    if whole is not None and bundle is not None and bundle.type in ("transaction", "batch"):
        places = [_entry(position) for position in range(len(bundle.entry))]
        await _post(ports, Interaction(bundle.type), whole, places, result)
        return
    course.content = None if whole is None else len(whole)
    if bundle is not None:
        parts = _entries(bundle, most)
    elif whole is not None and is_one_value(whole):
        parts = iter([_part("line 1", whole, most)])
    else:
        _refuse_a_long_document(content, ports.deployment.max_batch_bytes)
        parts = content.lines(most)
    await _put_all(ports, parts, result, course, content)


def _refuse_a_long_document(content: Content, most: int) -> None:
    if content.whole is None and not content.begins_with_a_value():
        raise TooLarge(
            f"the file is longer than {most} bytes, which FHIR_FACADE_MAX_BATCH_BYTES allows a Bundle, and its first "
            "line is no resource, as in NDJSON: split it, or correct that line"
        )


def _bundle(content: bytes) -> _Bundle | None:
    """The file as one Bundle; None when it is something else."""
    try:
        bundle = msgspec.json.decode(content, type=_Bundle)
    except (msgspec.DecodeError, RecursionError):
        return None
    return bundle if bundle.resource_type == "Bundle" else None


def _entry(position: int) -> str:
    return f"entry {position + 1}"


def _entries(bundle: _Bundle, most: int) -> Iterator[Part]:
    found = ((at, bytes(entry.resource)) for at, entry in enumerate(bundle.entry) if entry.resource)
    return (_part(_entry(at), body, most) for at, body in found)


def _part(place: str, body: bytes, most: int) -> Part:
    return Part(place, body) if len(body) <= most else Part(place, b"", too_long(most))


async def _post(ports: Ports, interaction: Interaction, body: bytes, places: list[str], result: Loaded) -> None:
    """`places` are those of the entries in the file."""
    response = await dispatch(ports, IMPORTER, FhirRequest(interaction, body=body))
    answers = msgspec.json.decode(response.body, type=_AnswerBundle).entry
    for place, entry in zip(places, answers, strict=True):
        _count(result, place, entry.response)


def _count(result: Loaded, place: str, answer: _Answer) -> None:
    status = answer.status.partition(" ")[0]
    if status.startswith("2"):
        outcome = "created" if status == "201" else "updated or unchanged"
        result.counts[f"{answer.location.partition('/')[0] or 'resources'} {outcome}"] += 1
    else:
        result.refuse(f"{place}: {answer.status} {_diagnostics(bytes(answer.outcome))}")


def _diagnostics(outcome: bytes) -> str:
    issues = msgspec.json.decode(outcome).get("issue", []) if outcome else []
    return "; ".join(str(issue.get("diagnostics", "")) for issue in issues)


async def _put_all(ports: Ports, parts: Iterator[Part], result: Loaded, course: _Course, content: Content) -> None:
    most = ports.deployment.max_batch_bytes // 2  # what goes round the resources takes room too
    while chunk := _chunk(parts, most):
        writes = list(_identified(chunk, result))
        if writes:
            await _post(ports, Interaction.BATCH, _batch(writes), [write.part.place for write in writes], result)
        course.advance(sum(len(part.body) for part in chunk), content.done)


def _chunk(parts: Iterator[Part], most: int) -> list[Part]:
    """The next ones, as many as go together: with a last one that makes them too long."""
    chunk: list[Part] = []
    size = 0
    for part in parts:
        chunk.append(part)
        size += len(part.body)
        if len(chunk) == CHUNK or size > most:
            break
    return chunk


def _identified(parts: list[Part], result: Loaded) -> Iterator[_Write]:
    for part in parts:
        if part.fault is not None:
            result.refuse(f"{part.place}: {part.fault}")
            continue
        try:
            resource = parse(part.body)
        except FacadeError as error:
            result.refuse(f"{part.place}: {error}")
            continue
        yield _Write(part, resource["resourceType"], resource.get("id"))


def _batch(writes: list[_Write]) -> bytes:
    """A batch of updates, or creates for resources without id; the bodies stay as they are."""
    entries = []
    for write in writes:
        method, url = ("PUT", f"{write.type}/{write.id}") if write.id else ("POST", write.type)
        request = msgspec.json.encode({"method": method, "url": url})
        entries.append(b'{"resource":' + write.part.body + b',"request":' + request + b"}")
    return b'{"resourceType":"Bundle","type":"batch","entry":[' + b",".join(entries) + b"]}"
