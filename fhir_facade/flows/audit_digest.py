"""What a seal of the audit covers: the lines, each with two parts that can be erased without breaking the chain.

A part enters the chain as a hash with a salt of its own, a pseudonym for whoever it names. Erasing it throws the salt
away and keeps the hash, which then tells nothing to anybody. https://www.rfc-editor.org/rfc/rfc7693
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256, shake_256
from typing import Final

import msgspec

from fhir_facade.rows.audit import AuditErasure, AuditLine

SALT: Final = 16
SUBJECT: Final = ("patient", "entity", "version", "query", "detail")
"""For whom or what a line is."""
ACTOR: Final = ("actor", "user", "client", "token", "address", "request_id")
"""Who did it, and from where."""

_GONE: Final = bytes(SALT)
_ENCODE: Final = msgspec.json.Encoder().encode


def new_salts(secret: str, lines: int) -> bytes:
    """Two salts for each line, from one secret that is forgotten."""
    return shake_256(secret.encode()).digest(2 * SALT * lines)


@dataclass(frozen=True, slots=True)
class Salts:
    """The salts of one seal: `of` a line by its place, the one for its subject and the one for its actor."""

    data: bytes

    def of(self, place: int) -> tuple[bytes, bytes]:
        start = 2 * SALT * place
        return self.data[start : start + SALT], self.data[start + SALT : start + 2 * SALT]

    def without(self, place: int, *, subject: bool, actor: bool) -> Salts:
        """The salts of a line replaced by nothing."""
        kept = self.of(place)
        new = (_GONE if subject else kept[0]) + (_GONE if actor else kept[1])
        start = 2 * SALT * place
        return Salts(self.data[:start] + new + self.data[start + 2 * SALT :])


def seal_hash(
    previous: str, number: int, lines: Sequence[AuditLine], salts: Salts, erased: Mapping[int, AuditErasure]
) -> str:
    """The hash (hex) of one link of the chain."""
    whole = sha256(_ENCODE((previous, number, len(lines))))
    for text in _texts(lines, salts, erased):
        whole.update(text)
    return whole.hexdigest()


def _texts(lines: Sequence[AuditLine], salts: Salts, erased: Mapping[int, AuditErasure]) -> Iterator[bytes]:
    for place, line in enumerate(lines):
        subject, actor = parts_of(line, salts.of(place), erased.get(line.id))
        yield _ENCODE((line.id, line.at, line.action, line.outcome, subject, actor))


def parts_of(
    line: AuditLine, salts: tuple[bytes, bytes], erasure: AuditErasure | None
) -> tuple[str | None, str | None]:
    """The hashes of the two parts; of an erased one what was kept of it."""
    subject = (line.patient, line.entity, line.version, line.query, line.detail)
    actor = (line.actor, line.user, line.client, line.token, line.address, line.request_id)
    return (
        _part(subject, salts[0], erasure.subject if erasure else None),
        _part(actor, salts[1], erasure.actor if erasure else None),
    )


def _part(values: tuple[str | None, ...], salt: bytes, kept: str | None) -> str | None:
    return kept if salt == _GONE else blake2b(_ENCODE(values), key=salt, digest_size=32).hexdigest()
