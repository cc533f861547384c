"""The ids of AuditEvents: the number of a line, encrypted so that the same line always has the same id.

The number itself would tell whoever may read one line how much happens to everybody. The secret is a row, sealed by the
vault: ids outlive a rotation of its keys. https://www.rfc-editor.org/rfc/rfc5297 (deterministic encryption)
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fhir_facade.errors import Conflict
from fhir_facade.ports import Ports
from fhir_facade.rows import Append
from fhir_facade.rows.audit import AuditNameKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

CONTEXT: Final = "audit-names"
_KEY: Final = "audit"
_NUMBER_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class LineNames:
    """Tells numbers of lines as ids and back."""

    cipher: AESSIV

    def id_of(self, number: int) -> str:
        """48 hexadecimal digits."""
        return self.cipher.encrypt(number.to_bytes(_NUMBER_BYTES), None).hex()

    def number_of(self, id_: str) -> int | None:
        """None for what is no id of ours: nobody else can make one."""
        from cryptography.exceptions import InvalidTag

        try:
            number = int.from_bytes(self.cipher.decrypt(bytes.fromhex(id_), None))
        except (ValueError, InvalidTag):
            return None
        return number if self.id_of(number) == id_ else None


async def line_names(ports: Ports) -> LineNames:
    """With the secret of this deployment, which is made when it is needed first."""
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV  # a start does without

    row = await ports.state.read(lambda tx: tx.get(AuditNameKey, _KEY)) or await _make(ports)
    return LineNames(AESSIV(ports.vault.open(row.sealed, context=CONTEXT)))


async def _make(ports: Ports) -> AuditNameKey:
    """Of two processes that come here at once one is first, and both go on with its secret."""
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

    made = AuditNameKey(name=_KEY, sealed=ports.vault.seal(AESSIV.generate_key(256), context=CONTEXT))
    with suppress(Conflict):
        await ports.state.write(lambda tx: tx.apply(Append(made)))
    row = await ports.state.read(lambda tx: tx.get(AuditNameKey, _KEY))
    assert row is not None
    return row
