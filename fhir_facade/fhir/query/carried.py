"""The parameters of a search by POST that an entry of a Bundle carries.

R4 has a form in the body of such a search and says nothing of Bundles, whose entries hold resources: clients send
Parameters, and what is no resource travels as a Binary, like a patch. https://hl7.org/fhir/R4/http.html#search
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from fhir_facade.errors import BadRequest
from fhir_facade.fhir.document import decimal_loads, parse
from fhir_facade.fhir.media_types import FORM, media
from fhir_facade.fhir.validation import validate

LARGEST: Final = 256 * 1024
"""Bytes of a search: all of it stands in the audit."""
_TAKEN: Final = f"a search by POST takes its parameters as Parameters with plain values, or as a Binary of {FORM}"

Params = tuple[tuple[str, str], ...]


def carried_params(body: bytes) -> Params:
    """Names and values in order. BadRequest for anything else."""
    resource = parse(body)
    if len(body) > LARGEST:
        raise BadRequest(f"the parameters of a search have {len(body)} bytes, at most {LARGEST} are accepted")
    if resource["resourceType"] == "Binary":
        return _form(resource)
    if resource["resourceType"] != "Parameters":
        raise BadRequest(f"{_TAKEN}, not as {resource['resourceType']}")
    wrong = [issue for issue in validate(resource, type="Parameters") if issue.severity in ("error", "fatal")]
    if wrong:
        raise BadRequest(wrong[0].diagnostics, issues=wrong)
    return tuple(_named(one) for one in decimal_loads(body).get("parameter", ()))


def _named(parameter: Mapping[str, Any]) -> tuple[str, str]:
    value = next((own for name, own in parameter.items() if name.startswith("value")), None)
    if value is None or isinstance(value, dict):
        raise BadRequest(f"{_TAKEN}: '{parameter['name']}' has none")
    if isinstance(value, bool):
        return str(parameter["name"]), str(value).lower()
    return str(parameter["name"]), str(getattr(value, "text", value))


def _form(binary: Mapping[str, Any]) -> Params:
    if media(str(binary.get("contentType", "")))[0] != FORM:
        raise BadRequest(f"{_TAKEN}, not of {binary.get('contentType')!r}")
    try:
        text = base64.b64decode(binary.get("data", ""), validate=True).decode()
    except (binascii.Error, ValueError, TypeError) as error:
        raise BadRequest("Binary.data is not the base64 of a form in UTF-8") from error
    return tuple(parse_qsl(text, keep_blank_values=True))
