"""Import of files: Bundles and NDJSON, through the door like everything else, with what was refused and why.

https://hl7.org/fhir/R4/bundle.html, https://hl7.org/fhir/uv/bulkdata/ (NDJSON)
"""

from __future__ import annotations

import bz2
import gzip
import zlib
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


@dataclass(frozen=True, slots=True)
class _Part:
    """One resource of a file, and where it stands there, as somebody counts who looks for it: from one."""

    place: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Write:
    part: _Part
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
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise BadRequest(f"the file cannot be read: {error}") from error


async def _load(ports: Ports, content: bytes, result: Loaded, course: _Course) -> None:
    course.content = len(content)
    bundle = _bundle(content)
    if bundle is not None and bundle.type in ("transaction", "batch"):
        places = [_entry(position) for position in range(len(bundle.entry))]
        await _post(ports, Interaction(bundle.type), content, places, result)
    else:
        await _put_all(ports, _lines(content) if bundle is None else _entries(bundle), result, course)


def _bundle(content: bytes) -> _Bundle | None:
    """The file as one Bundle; None when it is something else."""
    try:
        bundle = msgspec.json.decode(content, type=_Bundle)
    except (msgspec.DecodeError, RecursionError):
        return None
    return bundle if bundle.resource_type == "Bundle" else None


def _entry(position: int) -> str:
    return f"entry {position + 1}"


def _entries(bundle: _Bundle) -> list[_Part]:
    return [_Part(_entry(at), bytes(entry.resource)) for at, entry in enumerate(bundle.entry) if entry.resource]


def _lines(content: bytes) -> list[_Part]:
    """NDJSON, or one resource over as many lines as it likes."""
    if _is_one_value(content):
        return [_Part("line 1", content)]
    return [_Part(f"line {number}", line) for number, line in enumerate(content.splitlines(), 1) if line.strip()]


def _is_one_value(content: bytes) -> bool:
    try:
        msgspec.json.decode(content, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


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
        result.refused.append(f"{place}: {answer.status} {_diagnostics(bytes(answer.outcome))}")


def _diagnostics(outcome: bytes) -> str:
    issues = msgspec.json.decode(outcome).get("issue", []) if outcome else []
    return "; ".join(str(issue.get("diagnostics", "")) for issue in issues)


async def _put_all(ports: Ports, parts: list[_Part], result: Loaded, course: _Course) -> None:
    for start in range(0, len(parts), CHUNK):
        chunk = parts[start : start + CHUNK]
        writes = list(_identified(chunk, result))
        await _post(ports, Interaction.BATCH, _batch(writes), [write.part.place for write in writes], result)
        course.advance(sum(len(part.body) for part in chunk))


def _identified(parts: list[_Part], result: Loaded) -> Iterator[_Write]:
    for part in parts:
        try:
            resource = parse(part.body)
        except FacadeError as error:
            result.refused.append(f"{part.place}: {error}")
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
