"""References between the entries of a transaction, and conditional ones, resolved before anything is written.

https://hl7.org/fhir/R4/http.html#trules, https://hl7.org/fhir/R4/bundle.html#references
"""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fhir_facade.errors import BadRequest, FacadeError, NotFound, NotSupported, TooLarge
from fhir_facade.fhir.document import parse, with_references
from fhir_facade.fhir.match import matches_query
from fhir_facade.fhir.references import parse_reference, reference_texts, references_in
from fhir_facade.interactions.answers import name_entry
from fhir_facade.interactions.conditions import (
    Params,
    about_whom,
    criteria_of,
    identifiers,
    matches,
    params_of,
    several,
)
from fhir_facade.interactions.entries import Planned, named, several_at_once
from fhir_facade.interactions.record import Draft
from fhir_facade.interactions.turns import in_turns
from fhir_facade.values import Interaction, Ref, SearchQuery

MOST_JUDGED: Final = 50_000  # some seconds
_URN = re.compile(rb"urn:(?:uuid|oid):[0-9A-Za-z.\-]+")


@dataclass(slots=True)
class _Bundle:
    """What the entries are called, and what they write."""

    known: Mapping[str, str]
    written: Mapping[Ref, Draft]
    identified: Mapping[tuple[str, str], Sequence[Draft]]
    resolved: dict[str, str] = field(default_factory=dict)
    judged: int = 0


async def linked(planned: Sequence[Planned]) -> list[Planned]:
    """The same, with every reference that means another entry, or is conditional, as the id it stands for.

    BadRequest: no entry has this full URL. NotFound, PreconditionFailed: a conditional reference has no match, or
    several. What the entries write counts among the matches. TooLarge when that is too much to compare.
    """
    bundle = _bundle(planned)
    _refuse_overlaps(planned, bundle)
    await _resolve_all(planned, bundle)
    result: list[Planned] = []
    async for one in in_turns(planned):
        try:
            drafts = [_linked(one, draft, bundle) for draft in one.drafts]
        except FacadeError as error:
            name_entry(error, one.asked.position)
            raise
        result.append(dataclasses.replace(one, drafts=tuple(drafts)))
    return result


def _bundle(planned: Iterable[Planned]) -> _Bundle:
    planned = list(planned)
    by_position = {one.asked.position: one for one in planned}
    refs = {one.asked.entry.full_url: _ref(one, by_position) for one in planned}
    written = {draft.ref: draft for one in planned for draft in one.drafts}
    identified: dict[tuple[str, str], list[Draft]] = defaultdict(list)
    for draft in written.values():
        for value in _identifiers(draft):
            identified[draft.ref.type, value].append(draft)
    return _Bundle({url: str(ref) for url, ref in refs.items() if url and ref}, written, identified)


def _ref(one: Planned, by_position: Mapping[int, Planned]) -> Ref | None:
    """What a reference to the entry means; nothing for a delete."""
    if one.twin is not None:
        return _ref(by_position[one.twin], by_position)
    if one.existing is not None:
        return one.existing.ref
    return next((draft.ref for draft in one.drafts if draft.kind == "put"), None)


def _identifiers(draft: Draft) -> Iterable[str]:
    found = (draft.resource or {}).get("identifier", ())
    several = found if isinstance(found, list) else [found]
    return {str(each.get("value")) for each in several if isinstance(each, dict)}


def _refuse_overlaps(planned: Sequence[Planned], bundle: _Bundle) -> None:
    """The condition of an update must not also be met by what another entry creates: it would be one resource twice."""
    for one in planned:
        asked = one.asked
        if asked.interaction is Interaction.UPDATE and asked.condition is not None and identifiers(asked.condition):
            own = {draft.ref for draft in one.drafts}
            others = [ref for ref in _among(one, asked.call.type, asked.condition, bundle) if ref not in own]
            if others:
                name_entry(error := several(asked.call.type), asked.position)
                raise error


def _linked(one: Planned, draft: Draft, bundle: _Bundle) -> Draft:
    resource = draft.resource
    if resource is None:
        return draft
    replace = {text: bundle.known[text] for text in _urns(draft.body) if text in bundle.known}
    for text in reference_texts(resource, draft.body):
        target = _target(one, text, bundle)
        if target is not None:
            replace[text] = target
        elif text.startswith("urn:"):
            path = next(path for path, found in references_in(resource) if found == text)
            raise BadRequest(f"no entry has the fullUrl {text}", expression=path)
    if not replace:
        return draft
    body = with_references(draft.body, replace)
    return dataclasses.replace(draft, body=body, resource={**parse(body), "id": draft.ref.id})


def _urns(body: bytes) -> set[str]:
    """They stand for an entry in every uri, also where it is no reference."""
    return {found.decode() for found in _URN.findall(body)} if b"urn:" in body else set()


def _target(one: Planned, text: str, bundle: _Bundle) -> str | None:
    """What the reference means when it is about an entry or conditional; None leaves it as it is."""
    if text in bundle.known:
        return bundle.known[text]
    if text.startswith(("urn:", "#")):
        return None
    if "?" in text:
        return bundle.resolved[text]
    return next((bundle.known[url] for url in _absolute(one, text) if url in bundle.known), None)


def _absolute(one: Planned, text: str) -> Iterable[str]:
    """A relative reference below the base of the entry that holds it, and below ours."""
    reference = parse_reference(text)
    if reference.kind != "relative":
        return
    own = parse_reference(one.asked.entry.full_url or "")
    if own.kind == "absolute" and own.url is not None:
        yield own.url.removesuffix(f"{own.type}/{own.id}") + text
    yield f"{one.asked.call.ports.deployment.fhir_url}/{text}"


async def _resolve_all(planned: Sequence[Planned], bundle: _Bundle) -> None:
    """Ask the store for each conditional reference once, for several at once."""
    first: dict[str, Planned] = {}
    for one in planned:
        for draft in one.drafts:
            for text in reference_texts(draft.resource or {}, draft.body):
                if "?" in text and not text.startswith(("urn:", "#")) and text not in bundle.known:
                    first.setdefault(text, one)
    found = await several_at_once(
        lambda item: named(item[1].asked.position, _resolve(item[1], item[0], bundle)), tuple(first.items())
    )
    bundle.resolved.update(zip(first, found, strict=True))


async def _resolve(one: Planned, text: str, bundle: _Bundle) -> str:
    reference = parse_reference(text)
    if reference.kind != "conditional" or reference.type is None or reference.query is None:
        raise BadRequest(f"'{text}' is no reference")
    params = params_of(reference.query, reference.type)
    stored = await matches(one.asked.call, reference.type, params, at_most=2, besides=bundle.written.keys())
    refs = [found.ref for found in stored] + _among(one, reference.type, params, bundle)
    if len(refs) != 1:
        wrong = several(reference.type) if refs else NotFound(f"nothing matches the reference {text}")
        raise await about_whom(wrong, one.asked.call, reference.type, params)
    return str(refs[0])


def _among(one: Planned, type: str, params: Params, bundle: _Bundle) -> list[Ref]:
    """Those of the entries that satisfy the condition as they will be; looked for by identifier where it names one."""
    values = identifiers(params)
    if values:
        drafts = [draft for value in values for draft in bundle.identified.get((type, value), ())]
    else:
        drafts = [draft for draft in bundle.written.values() if draft.ref.type == type and draft.kind == "put"]
    if not drafts:
        return []
    bundle.judged += len(drafts)
    if bundle.judged > MOST_JUDGED:
        raise TooLarge("too many conditions on what the transaction itself writes: name full URLs instead")
    query = SearchQuery(type, criteria_of(one.asked.call, type, params))
    return list({draft.ref: None for draft in drafts if _satisfies(draft, query)})


def _satisfies(draft: Draft, query: SearchQuery) -> bool:
    try:
        return matches_query(draft.resource or {}, query)
    except NotSupported as error:
        raise BadRequest(f"this condition cannot be judged on what the transaction itself writes: {error}") from error
