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
from fhir_facade.fhir.document import decimal_loads, known_types, parse
from fhir_facade.fhir.media_types import PRESENTATION
from fhir_facade.fhir.operations.criteria import criterion_of
from fhir_facade.fhir.operations.table import Operation, Parameter
from fhir_facade.fhir.validation import validate
from fhir_facade.fhir.validation.primitives import FORMATS, PRIMITIVES

_DECIMAL: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?"
_WHOLE: Final = r"-?[0-9]{1,10}"

Value = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Checked parameters by name: primitive ones as their text, others as their JSON object.

    `criteria` are search parameters beside the operation's own, in order, as a search writes them. `said` are all that
    can be written so, in order.
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


@dataclass(frozen=True, slots=True)
class _Sent:
    """`member` is the one of Parameters that holds the value; None: it stood in the address."""

    name: str
    value: Value
    member: str | None = None


def read_inputs(operation: Operation, params: Sequence[tuple[str, str]], body: bytes = b"") -> Inputs:
    """The parameters of a call, all of them checked. BadRequest with an issue for each that is wrong."""
    sent = [_Sent(name, value) for name, value in params if name not in PRESENTATION]
    if body:
        sent += _of_body(operation, body)
    known = {parameter.name: parameter for parameter in operation.parameters}
    values: dict[str, tuple[Value, ...]] = {}
    criteria: list[tuple[str, str]] = []
    said: list[tuple[str, str]] = []
    wrong: list[Issue] = []
    for one in sent:
        parameter = known.get(one.name)
        if parameter is not None:
            wrong += _faults(parameter, one)
            values[one.name] = (*values.get(one.name, ()), *_split(parameter, one.value))
            said += [(one.name, one.value)] if isinstance(one.value, str) else []
        elif operation.searches:
            found = (
                (one.name, one.value) if isinstance(one.value, str) else criterion_of(one.name, one.member, one.value)
            )
            if isinstance(found, Issue):
                wrong.append(found)
            else:
                criteria.append(found)
                said.append(found)
        else:
            wrong.append(_unknown(operation, one.name))
    wrong += _counted(operation, values)
    if wrong:
        raise BadRequest(wrong[0].diagnostics, issues=wrong)
    return Inputs(values, tuple(criteria), tuple(said))


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


def _faults(parameter: Parameter, sent: _Sent) -> Iterable[Issue]:
    value = sent.value
    if isinstance(value, str) != parameter.primitive:
        wanted = "a value" if parameter.primitive else f"a {parameter.kind}, in the Parameters of a POST"
        return [Issue("invalid", f"'{parameter.name}' has to be {wanted}", parameter.name)]
    if not isinstance(value, str):
        return _faults_of_object(parameter, value, sent.member)
    wrong = next((part for part in _split(parameter, value) if not _fits(parameter.kind, str(part))), None)
    if wrong is None:
        return []
    return [Issue("value", f"{parameter.name}={wrong}: it must be {FORMATS[parameter.kind]}", parameter.name)]


def _faults_of_object(parameter: Parameter, value: Mapping[str, Any], member: str | None) -> Iterable[Issue]:
    """What `$validate` looks at may have any fault but not to say its type; other resources have to be right."""
    kind, said = parameter.kind, value.get("resourceType") if member == "resource" else None
    if kind == "Resource" and isinstance(said, str) and said in known_types():
        return []
    if (said == kind and member == "resource") or member == f"value{kind}":
        issues = validate(value, type=kind) if member == "resource" else ()
        return [issue for issue in issues if issue.severity == "error"]
    wanted = "resource of an R4 type" if kind == "Resource" else kind
    return [Issue("invalid", f"'{parameter.name}' has to be a {wanted}", parameter.name)]


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


def _of_body(operation: Operation, body: bytes) -> Iterator[_Sent]:
    resource = parse(body)
    if resource["resourceType"] != "Parameters":
        yield _bare(operation, resource)
        return
    listed = resource.get("parameter", [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise BadRequest("Parameters.parameter must be an array of objects", expression="Parameters.parameter")
    _refuse_malformed(listed)
    exact = decimal_loads(body)["parameter"] if listed else []
    for position, (one, digits) in enumerate(zip(listed, exact, strict=True)):
        yield _sent(one, digits, position)


def _bare(operation: Operation, resource: dict[str, Any]) -> _Sent:
    """The only parameter that is a resource may be the body itself."""
    own = [parameter for parameter in operation.parameters if parameter.kind in ("Resource", resource["resourceType"])]
    if not own:
        raise BadRequest(
            f"${operation.name} takes its parameters as a Parameters resource, not as {resource['resourceType']}"
        )
    return _Sent(own[0].name, resource, "resource")


def _refuse_malformed(parameters: list[dict[str, Any]]) -> None:
    """All but the resources, which an operation may have to judge itself: a plain value stands in for each."""
    if not parameters:
        return
    listed = [_without_resource(one) for one in parameters]
    issues = validate({"resourceType": "Parameters", "parameter": listed}, type="Parameters")
    errors = [issue for issue in issues if issue.severity == "error"]
    if errors:
        raise BadRequest(errors[0].diagnostics, issues=errors)


def _without_resource(parameter: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(parameter.get("resource"), dict):
        return parameter
    return {name: value for name, value in parameter.items() if name != "resource"} | {"valueBoolean": True}


def _sent(one: Mapping[str, Any], digits: Mapping[str, Any], position: int) -> _Sent:
    members = ("resource",) if isinstance(one.get("resource"), dict) else (*(m for m in one if m.startswith("value")),)
    if not members:
        path = f"Parameters.parameter[{position}]"
        raise BadRequest(f"{path} needs a value or a resource", expression=path)
    value = one[members[0]]
    plain = value if isinstance(value, str | dict) else _plain(digits[members[0]])
    return _Sent(str(one.get("name", "")), plain, members[0])


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(getattr(value, "text", value))
