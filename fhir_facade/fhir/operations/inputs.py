"""The parameters of an operation as they were sent: in the address, in a Parameters resource, or as the bare resource.

https://hl7.org/fhir/R4/operations.html#request
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any, Final

from fhir_facade.errors import BadRequest, Issue
from fhir_facade.fhir.document import decimal_loads, parse
from fhir_facade.fhir.operations.table import Operation, Parameter
from fhir_facade.fhir.validation import validate
from fhir_facade.fhir.validation.primitives import FORMATS, PRIMITIVES

_PRESENTATION: Final = frozenset(("_format", "_pretty"))
_DECIMAL: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_WHOLE: Final = r"-?[0-9]{1,10}"

Value = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Checked parameters by name: primitive ones as their text, others as their JSON object.

    `criteria` are search parameters beside the operation's own, in order. `said` are all primitive ones, in order.
    """

    values: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    criteria: tuple[tuple[str, str], ...] = ()
    said: tuple[tuple[str, str], ...] = ()

    def text(self, name: str) -> str | None:
        """The value of a primitive parameter that does not repeat."""
        return next(iter(self.texts(name)), None)

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(value for value in self.values.get(name, ()) if isinstance(value, str))

    def whole(self, name: str) -> int | None:
        text = self.text(name)
        return None if text is None else int(text)

    def number(self, name: str) -> Decimal | None:
        text = self.text(name)
        return None if text is None else Decimal(text)

    def flag(self, name: str) -> bool:
        """False also when it was not sent."""
        return self.text(name) == "true"

    def objects(self, name: str) -> tuple[Mapping[str, Any], ...]:
        return tuple(value for value in self.values.get(name, ()) if not isinstance(value, str))

    def object(self, name: str) -> Mapping[str, Any] | None:
        """The value of a parameter that is no primitive and does not repeat."""
        return next(iter(self.objects(name)), None)


def read_inputs(operation: Operation, params: Sequence[tuple[str, str]], body: bytes = b"") -> Inputs:
    """The parameters of a call, all of them checked. BadRequest with an issue for each that is wrong."""
    sent: list[tuple[str, Value]] = [(name, value) for name, value in params if name not in _PRESENTATION]
    if body:
        sent += _of_body(operation, body)
    known = {parameter.name: parameter for parameter in operation.parameters}
    values: dict[str, tuple[Value, ...]] = {}
    criteria: list[tuple[str, str]] = []
    wrong: list[Issue] = []
    for name, value in sent:
        parameter = known.get(name)
        if parameter is not None:
            wrong += _faults(parameter, value)
            values[name] = (*values.get(name, ()), *_split(parameter, value))
        elif operation.searches and isinstance(value, str):
            criteria.append((name, value))
        else:
            wrong.append(_unknown(operation, name))
    wrong += _counted(operation, values)
    if wrong:
        raise BadRequest(wrong[0].diagnostics, issues=wrong)
    return Inputs(values, tuple(criteria), tuple((name, value) for name, value in sent if isinstance(value, str)))


# --- what is wrong ----------------------------------------------------------------------------------------------------


def _unknown(operation: Operation, name: str) -> Issue:
    listed = ", ".join(parameter.name for parameter in operation.parameters) or "none"
    return Issue("not-supported", f"${operation.name} has no parameter '{name}': it takes {listed}", name)


def _counted(operation: Operation, values: Mapping[str, Sequence[Value]]) -> Iterator[Issue]:
    for parameter in operation.parameters:
        times = len(values.get(parameter.name, ()))
        if parameter.required and not times:
            yield Issue("required", f"${operation.name} needs the parameter '{parameter.name}'", parameter.name)
        if times > 1 and not parameter.many:
            yield Issue("invalid", f"'{parameter.name}' may be given once, not {times} times", parameter.name)


def _split(parameter: Parameter, value: Value) -> tuple[Value, ...]:
    """`_type` and its like take a list with commas, as in a search."""
    if parameter.many and parameter.kind == "code" and isinstance(value, str):
        return tuple(value.split(","))
    return (value,)


def _faults(parameter: Parameter, value: Value) -> Iterator[Issue]:
    if isinstance(value, str) != parameter.primitive:
        wanted = "a value" if parameter.primitive else f"a {parameter.kind}, in the Parameters of a POST"
        yield Issue("invalid", f"'{parameter.name}' has to be {wanted}", parameter.name)
        return
    if isinstance(value, str):
        wrong = next((part for part in _split(parameter, value) if not _fits(parameter.kind, str(part))), None)
        if wrong is not None:
            yield Issue("value", f"{parameter.name}={wrong}: it must be {FORMATS[parameter.kind]}", parameter.name)
        return
    expected = parameter.kind in ("Resource", value.get("resourceType")) or "resourceType" not in value
    if not expected:
        yield Issue("invalid", f"'{parameter.name}' has to be a {parameter.kind}", parameter.name)


def _fits(kind: str, text: str) -> bool:
    rule = PRIMITIVES[kind]
    if not _pattern(kind).fullmatch(text):
        return False
    low, high = rule.get("minimum"), rule.get("maximum")
    return (low is None or int(text) >= low) and (high is None or int(text) <= high)


@cache
def _pattern(kind: str) -> re.Pattern[str]:
    rule = PRIMITIVES[kind]
    plain = {"boolean": "true|false", "integer": _WHOLE, "number": _DECIMAL}
    return re.compile(rule["pattern"] if rule["type"] == "string" else plain[rule["type"]])


# --- the body ---------------------------------------------------------------------------------------------------------


def _of_body(operation: Operation, body: bytes) -> Iterator[tuple[str, Value]]:
    resource = parse(body)
    if resource["resourceType"] != "Parameters":
        yield _bare(operation, resource)
        return
    listed = resource.get("parameter", [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise BadRequest("Parameters.parameter must be an array of objects", expression="Parameters.parameter")
    _refuse_malformed(one for one in listed if "resource" not in one)
    exact = decimal_loads(body)["parameter"] if listed else []
    for position, (one, digits) in enumerate(zip(listed, exact, strict=True)):
        yield str(one.get("name", "")), _value(one, digits, position)


def _bare(operation: Operation, resource: dict[str, Any]) -> tuple[str, Value]:
    """The only parameter that is a resource may be the body itself."""
    own = [parameter for parameter in operation.parameters if parameter.kind in ("Resource", resource["resourceType"])]
    if not own:
        raise BadRequest(
            f"${operation.name} takes its parameters as a Parameters resource, not as {resource['resourceType']}"
        )
    return own[0].name, resource


def _refuse_malformed(parameters: Iterable[Mapping[str, Any]]) -> None:
    """All but the resources, which an operation may have to judge itself."""
    listed = list(parameters)
    if not listed:
        return
    issues = validate({"resourceType": "Parameters", "parameter": listed}, type="Parameters")
    errors = [issue for issue in issues if issue.severity == "error"]
    if errors:
        raise BadRequest(errors[0].diagnostics, issues=errors)


def _value(one: Mapping[str, Any], digits: Mapping[str, Any], position: int) -> Value:
    if isinstance(one.get("resource"), dict):
        found: dict[str, Any] = one["resource"]
        return found
    name = next((name for name in one if name.startswith("value")), None)
    if name is None:
        path = f"Parameters.parameter[{position}]"
        raise BadRequest(f"{path} needs a value or a resource", expression=path)
    value = one[name]
    if isinstance(value, dict):
        return value
    return value if isinstance(value, str) else _plain(digits[name])


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(getattr(value, "text", value))
