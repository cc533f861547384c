"""Code systems and value sets for the terminology operations: what ships with the server, and what is stored here.

https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fhir_facade.access.check import Deny
from fhir_facade.errors import BadRequest, NotFound, NotSupported
from fhir_facade.fhir.document import parse_stored
from fhir_facade.fhir.operations import Inputs
from fhir_facade.interactions.audit import audit_lines, record_lines
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.operations.matches import matches
from fhir_facade.interactions.read import visible
from fhir_facade.values import JsonObject, Match, SearchQuery, UriValue
from terminology.concept import CannotExpand, Concept
from terminology.concepts import Find, expand, needs
from terminology.known import known, known_by_id

MOST_PARTS: Final = 200
"""Code systems and value sets that one expansion is looked up of."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A code as it was sent. `system` None: it was not said."""

    code: str
    system: str | None = None
    version: str | None = None
    display: str | None = None


async def record_question(call: Call) -> None:
    """Terminology is about nobody."""
    await record_lines(call.ports, audit_lines(call.ports, call.principal, call.request, set()))


async def chosen(call: Call, inputs: Inputs, *, inline: str, version: str) -> JsonObject:
    """The CodeSystem or ValueSet that the call is about: of its address, in its body, or by its `url`. BadRequest for
    none, NotFound for one that nobody knows here."""
    if call.request.id is not None:
        return await _by_id(call)
    sent = inputs.object(inline)
    if sent is not None:
        return sent
    url = inputs.text("url")
    if url is None:
        raise BadRequest(
            f"${call.request.operation or ''} needs a url, or a {inline}".replace("$$", "$"), expression="url"
        )
    plain, _, own = url.partition("|")
    return await named(call, call.type, plain, inputs.text(version) or own or None)


async def _by_id(call: Call) -> JsonObject:
    shipped = known_by_id(call.type).get(call.ref.id)
    try:
        return parse_stored((await visible(call, call.ref)).body)
    except NotFound:
        if shipped is None:
            raise
        return shipped


async def named(call: Call, kind: str, url: str, version: str | None = None) -> JsonObject:
    """NotFound when it neither ships with the server nor is stored where the caller can see it."""
    found = await look_for(call, kind, url, version)
    if found is None:
        said = url if version is None else f"{url}|{version}"
        raise NotFound(f"the {kind} {said} is not known here: store it, or ask for one that is")
    return found


async def look_for(call: Call, kind: str, url: str, version: str | None = None) -> JsonObject | None:
    """What ships with the server, or the newest of what is stored where the caller can see it; None for neither."""
    shipped = known(kind).get(url)
    if shipped is not None and version in (None, shipped.get("version")):
        return shipped
    if isinstance(call.search_rights(kind), Deny):
        return None
    query = SearchQuery(kind, (Match("url", "uri", (UriValue(url),)),))
    stored = [(one.last_updated, parse_stored(one.body)) async for one in matches(call, query)]
    fitting = [each for each in stored if version in (None, each[1].get("version"))]
    return max(fitting, key=lambda each: each[0])[1] if fitting else None


async def expanded(call: Call, value_set: JsonObject) -> tuple[Concept, ...]:
    """All concepts of a value set. NotSupported says what of it is not known or not built here."""
    find = await _gathered(call, value_set)
    try:
        return expand(value_set, find)
    except CannotExpand as error:
        raise NotSupported(f"this value set cannot be expanded: {error}") from error


async def _gathered(call: Call, value_set: JsonObject) -> Find:
    """Everything that the value set is made of, however deep."""
    found: dict[tuple[str, str], Mapping[str, object] | None] = {}
    wanted = needs(value_set)
    while wanted:
        kind, url = wanted.pop()
        if len(found) == MOST_PARTS:
            raise NotSupported(f"this value set is made of more than {MOST_PARTS} code systems and value sets")
        found[kind, url] = await look_for(call, kind, url)
        if kind == "ValueSet":
            wanted |= {key for key in needs(found[kind, url] or {}) if key not in found}
    return lambda kind, url: found.get((kind, url))


def coded_of(inputs: Inputs, *, system: str | None = None) -> list[Coded]:
    """The codes that were sent, of which one has to fit: `code`, `coding` or those of `codeableConcept`. `system` is
    that of a plain code. BadRequest when there is none, or more than one way of saying it."""
    code, coding, concept = inputs.text("code"), inputs.object("coding"), inputs.object("codeableConcept")
    ways = [way for way in (code, coding, concept) if way is not None]
    if len(ways) != 1:
        raise BadRequest("give one of code, coding and codeableConcept", expression="code")
    if code is not None:
        version = inputs.text("systemVersion") or inputs.text("version")
        return [Coded(code, system, version, inputs.text("display"))]
    codings = [coding] if coding is not None else list((concept or {}).get("coding", ()))
    found = [_coded(one) for one in codings if "code" in one]
    if not found:
        raise BadRequest("there is no code in it", expression="coding" if coding is not None else "codeableConcept")
    return found


def _coded(coding: JsonObject) -> Coded:
    return Coded(coding["code"], coding.get("system"), coding.get("version"), coding.get("display"))


def in_language(concept: Concept, language: str | None) -> str | None:
    """How a concept is shown in a language: its designation there (`de` stands for `de-CH` too), else its display."""
    if language is None:
        return concept.display
    wanted = language.casefold()
    for one in concept.designations:
        own = str(one.get("language", "")).casefold()
        if own == wanted or own.partition("-")[0] == wanted.partition("-")[0]:
            return str(one.get("value", ""))
    return concept.display
