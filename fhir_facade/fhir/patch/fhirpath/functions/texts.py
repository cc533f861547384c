"""Functions of texts. https://hl7.org/fhirpath/N1/#string-manipulation"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from fhir_facade.fhir.patch.fhirpath.focus import Focus
from fhir_facade.fhir.patch.fhirpath.functions.function import Arguments, Function, exactly, whole_number
from fhir_facade.fhir.patch.fhirpath.items import Items, one_value, size_of
from fhir_facade.fhir.patch.fhirpath.moments import Moment
from fhir_facade.fhir.patch.fhirpath.tokens import NotTaken

LONGEST_REGEX: Final = 500
_ENGINE_STEPS: Final = 1000
"""What making an engine costs, in steps."""


def _text(value: Any, name: str) -> Any:
    """A date counts as it is written."""
    if isinstance(value, Moment):
        return value.text
    if value is not None and not isinstance(value, str):
        raise NotTaken(f"{name} is called on or with what is no text")
    return value


def _of_texts(name: str, calculate: Callable[..., Any], arguments: int = 0) -> Function:
    """A function of a text and of other texts, empty when one is."""

    def apply(items: Items, given: Arguments, focus: Focus) -> Items:
        texts = [_text(one_value(found, name), name) for found in (items, *(one.items() for one in given))]
        if None in texts:
            return ()
        focus.budget.spend(sum(map(size_of, texts)))
        result = calculate(*texts)
        focus.budget.spend(size_of(result))
        return (result,)

    return Function(exactly(arguments), apply)


def _substring(items: Items, arguments: Arguments, focus: Focus) -> Items:
    text = _text(one_value(items, "substring()"), "substring()")
    if text is None:
        return ()
    start, *length = (whole_number(argument, "substring()") for argument in arguments)
    end = start + max(0, length[0]) if length else None
    focus.budget.spend(size_of(text))
    return (text[start:end],) if 0 <= start < len(text) else ()


def _replaced(text: str, pattern: str, substitution: str) -> str:
    if (text.count(pattern) if pattern else len(text)) * len(substitution) > 1_000_000:
        raise NotTaken("replace() would make a text of more than a million characters")
    return text.replace(pattern, substitution)


def _characters(items: Items, _: Arguments, focus: Focus) -> Items:
    text = _text(one_value(items, "toChars()"), "toChars()") or ""
    focus.budget.spend(len(text))
    return [*text]


def _matches(items: Items, arguments: Arguments, focus: Focus) -> Items:
    """Whether the text has a part that matches; the time it takes grows with the text alone."""
    text = _text(one_value(items, "matches()"), "matches()")
    pattern = _text(one_value(arguments[0].items(), "matches()"), "matches()")
    if text is None or pattern is None:
        return ()
    engines = focus.budget.engines
    focus.budget.spend(len(text) + (0 if pattern in engines else _ENGINE_STEPS))
    engine = engines.get(pattern) or engines.setdefault(pattern, _engine(pattern))
    return (engine.is_valid(text),)


def _engine(pattern: str) -> Any:
    import jsonschema_rs

    if len(pattern) > LONGEST_REGEX:
        raise NotTaken(f"a regular expression may have {LONGEST_REGEX} characters")
    linear = jsonschema_rs.RegexOptions(size_limit=2**18, dfa_size_limit=2**18)
    try:  # by itself first: brackets must not reach over what is put around it
        jsonschema_rs.Draft7Validator({"pattern": pattern}, pattern_options=linear)
        return jsonschema_rs.Draft7Validator({"pattern": f"(?s:{pattern})"}, pattern_options=linear)
    except ValueError as error:
        raise NotTaken("a regular expression cannot be read, is too large, or looks around or back") from error


TEXTS: Final[Mapping[str, Function]] = {
    "startsWith": _of_texts("startsWith()", str.startswith, 1),
    "endsWith": _of_texts("endsWith()", str.endswith, 1),
    "contains": _of_texts("contains()", str.__contains__, 1),
    "indexOf": _of_texts("indexOf()", str.find, 1),
    "upper": _of_texts("upper()", str.upper),
    "lower": _of_texts("lower()", str.lower),
    "length": _of_texts("length()", len),
    "replace": _of_texts("replace()", _replaced, 2),
    "substring": Function(range(1, 3), _substring),
    "toChars": Function(exactly(0), _characters),
    "matches": Function(exactly(1), _matches),
}
