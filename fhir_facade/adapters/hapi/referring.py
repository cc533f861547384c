"""Which types refer to a record, in one request: HAPI looks for each parameter in an index, however large a record is.

`_revinclude=*` would read the references without an order and cut them off at 1,000 without saying so; behind a
parameter of its own each type comes with some of what it has. HAPI's `$everything` costs twice as much, and more with
every resource of the record. https://hl7.org/fhir/R4/search.html#revinclude
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from fhir_facade.adapters.hapi.asking import ask_once
from fhir_facade.adapters.hapi.gathering import AT_ONCE
from fhir_facade.adapters.hapi.query import Parameter
from fhir_facade.adapters.hapi.session import HapiSession
from fhir_facade.errors import BadRequest, TooLarge, UpstreamError
from fhir_facade.values import Ref

ALWAYS: Final = frozenset(("Observation",))
"""What records have so many of that searching it costs less than being told that there are some."""


class _Kind(msgspec.Struct):
    resourceType: str  # noqa: N815 - the FHIR element


_KIND = msgspec.json.Decoder(_Kind)


async def referring(
    session: HapiSession, targets: Sequence[Ref], ways: Mapping[str, Collection[str]]
) -> frozenset[str]:
    """The types of `ways` with a resource that refers to one of the targets by one of their parameters; all of them
    where that cannot be told at once."""
    asked: list[Parameter] = [("_id", ",".join(target.id for target in targets)), ("_elements", "id")]
    for kind in sorted(ways.keys() - ALWAYS):
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
    return frozenset(kinds | ALWAYS).intersection(ways)
