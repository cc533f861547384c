"""By which parameters a record is referred to, in one request: the server of `hapi/` tells it from an index, however
large a record is.

Another HAPI is asked which types come with the record. `_revinclude=*` would read the references without an order and
cut them off at 1,000 without saying so; behind a parameter of its own each type comes with some of what it has. HAPI's
`$everything` costs twice as much, and more with every resource of the record.
https://hl7.org/fhir/R4/search.html#revinclude
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from fhir_facade.adapters.hapi.asking import ask_once
from fhir_facade.adapters.hapi.gathering import AT_ONCE
from fhir_facade.adapters.hapi.query import Parameter
from fhir_facade.adapters.hapi.session import HapiSession
from fhir_facade.errors import BadRequest, TooLarge, UpstreamError
from fhir_facade.values import Ref, Ways

ALWAYS: Final = "Observation"
"""What records have so many of that searching it costs less than being told that there are some."""
_UNKNOWN: Final = frozenset((400, 404, 501))
"""What another HAPI says of an operation that it does not have."""


class _Named(msgspec.Struct):
    valueString: str  # noqa: N815 - the FHIR element


class _Told(msgspec.Struct):
    parameter: list[_Named] = []


class _Kind(msgspec.Struct):
    resourceType: str  # noqa: N815 - the FHIR element


_TOLD = msgspec.json.Decoder(_Told)
_KIND = msgspec.json.Decoder(_Kind)


async def referring(session: HapiSession, targets: Sequence[Ref], ways: Ways) -> Ways:
    """The ways by which a resource refers to one of the targets; all of a type, or of all types, where HAPI cannot tell
    at once."""
    named = urlencode([("target", str(target)) for target in targets], quote_via=quote, safe="/")
    answer = await session.send("GET", f"/$referrers?{named}")
    if answer.status in _UNKNOWN:
        kinds = await _kinds(session, targets, ways)
        return {kind: params for kind, params in ways.items() if kind in kinds}
    if answer.status != 200:
        raise answer.refusal("what refers to a record")
    try:
        told = {one.valueString for one in _TOLD.decode(answer.body).parameter}
    except msgspec.DecodeError as error:
        raise UpstreamError("HAPI answered something that names no parameters") from error
    open_ways = {kind: [param for param in params if f"{kind}:{param}" in told] for kind, params in ways.items()}
    return {kind: params for kind, params in open_ways.items() if params}


async def _kinds(session: HapiSession, targets: Sequence[Ref], ways: Ways) -> frozenset[str]:
    asked: list[Parameter] = [("_id", ",".join(target.id for target in targets)), ("_elements", "id")]
    for kind in sorted(ways.keys() - {ALWAYS}):
        asked += [("_revinclude", f"{kind}:{param}") for param in ways[kind]]
    try:
        found = await ask_once(session, targets[0].type, asked, AT_ONCE, repeated=False)
    except (BadRequest, TooLarge):  # of a server that takes fewer words, or finds fewer resources at once
        return frozenset(ways)
    if len(found.entry) >= AT_ONCE:  # the rest was cut off
        return frozenset(ways)
    try:
        kinds = {_KIND.decode(entry.resource).resourceType for entry in found.entry if entry.resource}
    except msgspec.DecodeError as error:
        raise UpstreamError("HAPI answered something that is no FHIR resource") from error
    return frozenset((*kinds, ALWAYS))
