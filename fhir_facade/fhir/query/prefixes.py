"""The comparison prefixes of numbers, dates and quantities (https://hl7.org/fhir/R4/search.html#prefix)."""

from __future__ import annotations

from typing import Final, cast, get_args

from fhir_facade.values import Prefix

PREFIXES: Final[tuple[str, ...]] = get_args(Prefix)
_SIGNS: Final[tuple[tuple[str, Prefix], ...]] = ((">=", "ge"), ("<=", "le"), (">", "gt"), ("<", "lt"), ("~", "ap"))
"""How the first releases of FHIR wrote them. SMART's client for Python still does, and HAPI understands it."""


def split_prefix(raw: str) -> tuple[Prefix, str]:
    """`ge5` and `>=5` -> ("ge", "5"); no prefix means `eq`."""
    if raw[:2] in PREFIXES:
        return cast("Prefix", raw[:2]), raw[2:]
    if raw[:1] in ("<", ">", "~"):
        return next((prefix, raw[len(sign) :]) for sign, prefix in _SIGNS if raw.startswith(sign))
    return "eq", raw
