"""What an emitter is: a function that turns one FHIR value into index rows.

It takes (value, rows) and appends; what has the wrong shape is passed over, the gate refuses it elsewhere. It is
built for the codes of all parameters that read the value (https://hl7.org/fhir/R4/search.html#table).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_facade.fhir.extract.rows import IndexRows

Names = tuple[str, ...]
Emit = Callable[[Any, IndexRows], None]
Build = Callable[[Names], Emit]


def listed(value: Any) -> list[Any]:
    """The value if it is a list, else nothing."""
    return value if isinstance(value, list) else []
