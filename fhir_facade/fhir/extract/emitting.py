"""What an emitter is: a function that turns the FHIR values of one place into index rows.

It takes (values, rows), all values that stand at the place, and appends; what has the wrong shape is passed over, the
gate refuses it elsewhere. It is built for the codes of all parameters that read the place
(https://hl7.org/fhir/R4/search.html#table).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fhir_facade.fhir.extract.rows import IndexRows

Names = tuple[str, ...]
Values = Sequence[Any]
Emit = Callable[[Values, IndexRows], None]
Build = Callable[[Names], Emit]


def listed(value: Any) -> list[Any]:
    """The value if it is a list, else nothing."""
    return value if isinstance(value, list) else []
