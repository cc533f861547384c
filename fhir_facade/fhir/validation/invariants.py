"""Invariants of R4 as a table: for each definition the rules that a schema cannot say.

The keys are those of the specification, e.g. https://hl7.org/fhir/R4/observation.html#inv.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_facade.fhir.validation.moments import is_after
from fhir_facade.fhir.validation.narrative import XHTML, faults_of_content, faults_of_xhtml

Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """`broken` gives the places below the element where the rule does not hold: "" is the element itself."""

    key: str
    text: str
    broken: Callable[[Node], Iterable[str]]


def _rule(key: str, text: str, holds: Callable[[Node], bool]) -> Rule:
    return Rule(key, text, lambda node: () if holds(node) else ("",))


def _has(stem: str) -> Callable[[Node], bool]:
    return lambda node: any(name.startswith((stem, "_" + stem)) for name in node)


def _any_of(*names: str) -> Callable[[Node], bool]:
    return lambda node: any(name in node for name in names)


_has_value = _has("value")


def _codings(node: Node, name: str) -> list[tuple[str | None, str | None]]:
    return [(one.get("system"), one.get("code")) for one in node.get(name, {}).get("coding", ())]


def _has_code(node: Node, name: str, *codes: str) -> bool:
    return any(code in codes for _, code in _codings(node, name))


def _component_repeats_code(node: Node) -> bool:
    if "component" not in node or not _has_value(node):
        return False
    own = _codings(node, "code")
    return any(coding in own for component in node["component"] for coding in _codings(component, "code"))


def _ordered(node: Node) -> bool:
    """False only for two quantities of one unit with low above high."""
    low, high = node.get("low", {}), node.get("high", {})
    if any(low.get(name) != high.get(name) for name in ("system", "code", "unit")):
        return True
    return "value" not in low or "value" not in high or low["value"] <= high["value"]


# --- bundles --------------------------------------------------------------------------------------------------------

_REQUESTED = frozenset(("batch", "transaction", "history"))
_ANSWERED = frozenset(("batch-response", "transaction-response", "history"))


def _entries(node: Node, broken: Callable[[Node], bool]) -> list[str]:
    return [f".entry[{at}]" for at, entry in enumerate(node.get("entry", ())) if broken(entry)]


def _mandatory(name: str, kinds: frozenset[str]) -> Callable[[Node], list[str]]:
    return lambda node: _entries(node, lambda entry: (name in entry) != (node.get("type") in kinds))


def _search_elsewhere(node: Node) -> list[str]:
    return [] if node.get("type") == "searchset" else _entries(node, lambda entry: "search" in entry)


def _repeated_urls(node: Node) -> list[str]:
    if node.get("type") == "history":
        return []
    seen: set[tuple[str | None, str]] = set()
    repeated = []
    for at, entry in enumerate(node.get("entry", ())):
        key = (entry.get("fullUrl"), _version(entry.get("resource", {})))
        if "fullUrl" in entry and key in seen:
            repeated.append(f".entry[{at}].fullUrl")
        seen.add(key)
    return repeated


def _version(resource: Node) -> str:
    meta = resource.get("meta")  # of a resource that is looked at later: anything
    return str(meta.get("versionId")) if isinstance(meta, dict) else ""


def _begins_with(kind: str, first: str) -> Callable[[Node], bool]:
    def holds(node: Node) -> bool:
        if node.get("type") != kind:
            return True
        entries: Sequence[Node] = node.get("entry", ())
        return len(entries) > 0 and entries[0].get("resource", {}).get("resourceType") == first

    return holds


def _identified(node: Node) -> bool:
    identifier: Node = node.get("identifier", {})
    return "system" in identifier and "value" in identifier


_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-ver-status"

INVARIANTS: Mapping[str, tuple[Rule, ...]] = {
    "AllergyIntolerance": (
        _rule(
            "ait-1",
            "clinicalStatus is needed unless verificationStatus is entered-in-error",
            lambda node: "clinicalStatus" in node or _has_code(node, "verificationStatus", "entered-in-error"),
        ),
        _rule(
            "ait-2",
            "clinicalStatus must not be there when verificationStatus is entered-in-error",
            lambda node: "clinicalStatus" not in node or not _has_code(node, "verificationStatus", "entered-in-error"),
        ),
    ),
    "Attachment": (
        _rule("att-1", "data needs a contentType", lambda node: "data" not in node or "contentType" in node),
    ),
    "Bundle": (
        _rule(
            "bdl-1",
            "total is for searchset and history only",
            lambda node: "total" not in node or node.get("type") in ("searchset", "history"),
        ),
        Rule("bdl-2", "search is for searchset only", _search_elsewhere),
        Rule(
            "bdl-3",
            "request is needed in batch, transaction and history, and forbidden elsewhere",
            _mandatory("request", _REQUESTED),
        ),
        Rule(
            "bdl-4",
            "response is needed in batch-response, transaction-response and history, and forbidden elsewhere",
            _mandatory("response", _ANSWERED),
        ),
        Rule("bdl-7", "fullUrl must be unique, or the versions must differ", _repeated_urls),
        _rule(
            "bdl-9",
            "a document needs an identifier with system and value",
            lambda node: node.get("type") != "document" or _identified(node),
        ),
        _rule(
            "bdl-10", "a document needs a timestamp", lambda node: node.get("type") != "document" or "timestamp" in node
        ),
        _rule("bdl-11", "a document begins with a Composition", _begins_with("document", "Composition")),
        _rule("bdl-12", "a message begins with a MessageHeader", _begins_with("message", "MessageHeader")),
    ),
    "Bundle_Entry": (
        _rule(
            "bdl-5", "an entry needs a resource, a request or a response", _any_of("resource", "request", "response")
        ),
        _rule(
            "bdl-8",
            "fullUrl must not name a version",
            lambda node: "/_history/" not in str(node.get("fullUrl", "")),
        ),
    ),
    "Condition": (
        _rule(
            "con-4",
            "a condition that abated has the clinicalStatus inactive, resolved or remission",
            lambda node: (
                not _has("abatement")(node)
                or "clinicalStatus" not in node
                or _has_code(node, "clinicalStatus", "resolved", "remission", "inactive")
            ),
        ),
        _rule(
            "con-5",
            "clinicalStatus must not be there when verificationStatus is entered-in-error",
            lambda node: (
                "clinicalStatus" not in node
                or (_CLINICAL, "entered-in-error") not in _codings(node, "verificationStatus")
            ),
        ),
    ),
    "ContactPoint": (
        _rule(
            "cpt-2", "a value needs a system", lambda node: "value" not in node or _any_of("system", "_system")(node)
        ),
    ),
    "Narrative": (
        Rule(
            "txt-1",
            f"only text, tables, lists, links and images are allowed, as well-formed XHTML of the namespace {XHTML}",
            faults_of_xhtml,
        ),
        Rule("txt-2", "a narrative needs some content", faults_of_content),
    ),
    "Observation": (
        _rule(
            "obs-6",
            "dataAbsentReason is only for an Observation without value[x]",
            lambda node: "dataAbsentReason" not in node or not _has_value(node),
        ),
        _rule(
            "obs-7",
            "value[x] must not be there when a component has the code of the Observation",
            lambda node: not _component_repeats_code(node),
        ),
    ),
    "Observation_ReferenceRange": (
        _rule("obs-3", "low, high or text is needed", _any_of("low", "high", "text", "_text")),
    ),
    "Organization": (_rule("org-1", "a name or an identifier is needed", _any_of("name", "identifier", "_name")),),
    "Patient_Contact": (
        _rule(
            "pat-1",
            "name, telecom, address or organization is needed",
            _any_of("name", "telecom", "address", "organization"),
        ),
    ),
    "Period": (
        _rule("per-1", "start must not be after end", lambda node: not is_after(node.get("start"), node.get("end"))),
    ),
    "Range": (_rule("rng-2", "low must not be above high", _ordered),),
}
