"""Checks requests and answers against the discovery document of the Google Health API.

https://developers.google.com/discovery/v1/reference/apis; the document and its licence: tests/data/google-health.
"""

from __future__ import annotations

import gzip
import json
import re
from functools import cache
from pathlib import Path

_FILE = Path(__file__).parent / "data" / "google-health" / "discovery-v4.json.gz"
_PYTHON = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "array": list, "object": dict}
_FORMATS = {
    "int64": re.compile(r"-?\d+"),
    "google-datetime": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z"),
    "google-duration": re.compile(r"-?\d+(\.\d{1,9})?s"),
}


@cache
def discovery():
    return json.loads(gzip.decompress(_FILE.read_bytes()))


@cache
def _methods():
    found = []

    def walk(node):
        for resource in node.get("resources", {}).values():
            found.extend(resource.get("methods", {}).values())
            walk(resource)

    walk(discovery())
    return found


def _pattern(flat_path):
    parts = re.split(r"(\{[^}]+\})", flat_path)
    return re.compile("/" + "".join("[^/:]+" if part.startswith("{") else re.escape(part) for part in parts))


def method_of(http_method, path):
    """The description of the method behind an address; None when the API has no such address."""
    fits = (m for m in _methods() if m["httpMethod"] == http_method and _pattern(m["flatPath"]).fullmatch(path))
    return next(fits, None)


def schema_errors(schema_name, value, where="$"):
    """What in `value` is not described by the schema: unknown members, wrong types, formats and enum values."""
    return list(_object(discovery()["schemas"][schema_name], value, where))


def _object(schema, value, where):
    if not isinstance(value, dict):
        yield f"{where}: {value!r} is no object"
        return
    properties = schema.get("properties", {})
    for name, member in value.items():
        if name not in properties:
            yield f"{where}.{name}: not a member of {schema.get('id')}"
        else:
            yield from _member(properties[name], member, f"{where}.{name}")


def _member(schema, value, where):
    if "$ref" in schema:
        yield from _object(discovery()["schemas"][schema["$ref"]], value, where)
        return
    expected = _PYTHON[schema["type"]]
    if not isinstance(value, expected) or (isinstance(value, bool) and schema["type"] != "boolean"):
        yield f"{where}: {value!r} is no {schema['type']}"
        return
    if schema["type"] == "array":
        for index, item in enumerate(value):
            yield from _member(schema["items"], item, f"{where}[{index}]")
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of {schema['enum']}"
    form = _FORMATS.get(schema.get("format"))
    if form and not form.fullmatch(value):
        yield f"{where}: {value!r} is no {schema['format']}"


def answer_errors(http_method, path, body):
    """What in the JSON of a 200 answer the description does not know."""
    method = method_of(http_method, path)
    return [f"no method {http_method} {path}"] if method is None else schema_errors(method["response"]["$ref"], body)


def request_errors(http_method, path, query, body=None):
    """What in a request the description does not know: address, parameters, their types, the body."""
    method = method_of(http_method, path)
    if method is None:
        return [f"no method {http_method} {path}"]
    parameters = {**discovery()["parameters"], **method["parameters"]}
    errors = [f"?{name}: no such parameter" for name in query if name not in parameters]
    for name, value in query.items():
        spec = parameters.get(name, {})
        if spec.get("type") == "integer" and not value.isdigit():
            errors.append(f"?{name}: {value!r} is no integer")
        if "enum" in spec and value not in spec["enum"]:
            errors.append(f"?{name}: {value!r} is none of {spec['enum']}")
    if body is not None:
        errors += schema_errors(method["request"]["$ref"], body)
    return errors


def scopes():
    """All OAuth scopes of the API."""
    return set(discovery()["auth"]["oauth2"]["scopes"])
