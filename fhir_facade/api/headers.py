"""What the headers of a FHIR request say: conditions and preferences. https://hl7.org/fhir/R4/http.html#Http-Headers"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from fhir_facade.api.wire import Headers, text
from fhir_facade.errors import BadRequest
from fhir_facade.interactions.answers import is_any_version, version_of, versions_of
from fhir_facade.values import FhirRequest, Preference

_NO_PREFERENCE = Preference()
_RETURNS = {"minimal", "representation", "OperationOutcome"}


CONDITIONS: Final = frozenset((b"if-match", b"if-none-match", b"if-modified-since", b"if-none-exist", b"prefer"))
"""Those of them that change what is asked; most requests have none."""


def etag(value: str | None) -> str | None:
    """The version that `If-Match` names; None for `*`. BadRequest for several."""
    if value is not None and "," in value:
        raise BadRequest("If-Match takes one version here")
    return version_of(value)


def moment(value: str | None) -> datetime | None:
    """https://www.rfc-editor.org/rfc/rfc9110#field.if-modified-since: an invalid date is ignored. `-0000` is UTC, said
    by somebody who does not tell where they are: https://www.rfc-editor.org/rfc/rfc5322#section-3.3"""
    if value is None:
        return None
    try:
        read = parsedate_to_datetime(value)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def conditional(request: FhirRequest, headers: Headers) -> FhirRequest:
    """The request with what its headers say. BadRequest."""
    if_match = text(headers, b"if-match")
    return msgspec.structs.replace(
        request,
        if_match=etag(if_match),
        if_none_match=versions_of(text(headers, b"if-none-match")),
        if_modified_since=moment(text(headers, b"if-modified-since")),
        if_none_exist=text(headers, b"if-none-exist"),
        prefer=preference(text(headers, b"prefer")),
        must_exist=is_any_version(if_match),
    )


def preference(value: str | None) -> Preference:
    """https://www.rfc-editor.org/rfc/rfc7240#section-2: names are read in any case, what is not known is ignored."""
    if value is None:
        return _NO_PREFERENCE
    asked = (part.partition("=") for part in value.replace(";", ",").replace('"', "").split(","))
    parts = {name.strip().lower(): own.strip() for name, _, own in asked}
    returns = parts.get("return")
    handling = parts.get("handling")
    return Preference(
        returns if returns in _RETURNS else None,  # type: ignore[arg-type]  # checked against the set
        "lenient" if handling == "lenient" else "strict",
    )
