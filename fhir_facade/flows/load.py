"""Import of files: Bundles and NDJSON, through the door like everything else, with what was refused and why.

https://hl7.org/fhir/R4/bundle.html, https://hl7.org/fhir/uv/bulkdata/ (NDJSON)
"""

from __future__ import annotations

import bz2
import gzip
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from fhir_facade.errors import BadRequest, FacadeError
from fhir_facade.fhir.document import parse
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import Ports
from fhir_facade.values import FhirRequest, Interaction, Principal

IMPORTER = Principal("engine", name="import")
CHUNK = 200
_UNPACK: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.decompress, ".bz2": bz2.decompress}


@dataclass(slots=True)
class Loaded:
    """What became of one file: counts by `Type outcome`, and one sentence per refusal."""

    file: str
    counts: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)


class _Entry(msgspec.Struct, rename="camel"):
    full_url: str | None = None
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
    """How much of a file is done, told in bytes as they lie on the disk: of a packed file in proportion."""

    tell: Callable[[int], None]
    size: int
    content: int = 0
    done: int = 0
    told: int = 0

    def advance(self, content: int) -> None:
        self.done += content
        self._tell(self.size * self.done // max(self.content, self.done, 1))

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
            await _load(ports, _content(file), result, course)
        except FacadeError as error:
            result.refused.append(str(error))
        course.end()
        yield result


def _content(file: Path) -> bytes:
    try:
        content = file.read_bytes()
        unpack = _UNPACK.get(file.suffix)
        return content if unpack is None else unpack(content)
    except (OSError, EOFError, ValueError) as error:
        raise BadRequest(f"the file cannot be read: {error}") from error


async def _load(ports: Ports, content: bytes, result: Loaded, course: _Course) -> None:
    course.content = len(content)
    bundle = _bundle(content)
    if bundle is None:
        lines = [line for line in content.splitlines() if line.strip()]
        await _put_all(ports, lines, result, course)
    elif bundle.type in ("transaction", "batch"):
        await _post(ports, Interaction(bundle.type), content, result)
    else:
        await _put_all(ports, [bytes(entry.resource) for entry in bundle.entry if entry.resource], result, course)


def _bundle(content: bytes) -> _Bundle | None:
    """The file as one Bundle; None when it is NDJSON."""
    try:
        bundle = msgspec.json.decode(content, type=_Bundle)
    except msgspec.DecodeError:
        return None
    return bundle if bundle.resource_type == "Bundle" else None


async def _post(ports: Ports, interaction: Interaction, body: bytes, result: Loaded) -> None:
    response = await dispatch(ports, IMPORTER, FhirRequest(interaction, body=body))
    for position, entry in enumerate(msgspec.json.decode(response.body, type=_AnswerBundle).entry):
        _count(result, position, entry.response)


def _count(result: Loaded, position: int, answer: _Answer) -> None:
    status = answer.status.partition(" ")[0]
    if status.startswith("2"):
        outcome = "created" if status == "201" else "updated or unchanged"
        result.counts[f"{answer.location.partition('/')[0] or 'resources'} {outcome}"] += 1
    else:
        result.refused.append(f"entry {position}: {answer.status} {_diagnostics(bytes(answer.outcome))}")


def _diagnostics(outcome: bytes) -> str:
    issues = msgspec.json.decode(outcome).get("issue", []) if outcome else []
    return "; ".join(str(issue.get("diagnostics", "")) for issue in issues)


async def _put_all(ports: Ports, resources: list[bytes], result: Loaded, course: _Course) -> None:
    for start in range(0, len(resources), CHUNK):
        chunk = resources[start : start + CHUNK]
        await _post(ports, Interaction.BATCH, _batch(list(_identified(chunk, start, result))), result)
        course.advance(sum(map(len, chunk)))


def _identified(resources: list[bytes], start: int, result: Loaded) -> Iterator[tuple[str, str | None, bytes]]:
    for position, body in enumerate(resources, start + 1):
        try:
            resource = parse(body)
        except FacadeError as error:
            result.refused.append(f"line {position}: {error}")
            continue
        yield resource["resourceType"], resource.get("id"), body


def _batch(entries: list[tuple[str, str | None, bytes]]) -> bytes:
    """A batch of updates, or creates for resources without id; the bodies stay as they are."""
    parts = []
    for type_, id_, body in entries:
        method, url = ("PUT", f"{type_}/{id_}") if id_ else ("POST", type_)
        request = msgspec.json.encode({"method": method, "url": url})
        parts.append(b'{"resource":' + body + b',"request":' + request + b"}")
    return b'{"resourceType":"Bundle","type":"batch","entry":[' + b",".join(parts) + b"]}"
