"""Invariants of single resource types: what belongs together, what excludes each other, what a code demands.

Only `$validate` asks for them. The keys are those of the specification, e.g. https://hl7.org/fhir/R4/questionnaire.html#invs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fhir_facade.fhir.validation.invariants import Node, Rule
from fhir_facade.fhir.validation.moments import is_after
from terminology.canonical import UCUM

Test = Callable[[Node], bool]


def _rule(key: str, text: str, holds: Test) -> Rule:
    return Rule(key, text, lambda node: () if holds(node) else ("",))


def _has(stem: str) -> Test:
    """The element, its companion, or one of the ways of a choice (`age[x]`)."""
    if not stem.endswith("[x]"):
        return lambda node: stem in node or "_" + stem in node
    plain = stem.removesuffix("[x]")
    return lambda node: any(name.removeprefix("_").startswith(plain) for name in node)


def _one_of(*stems: str) -> Test:
    tests = [_has(stem) for stem in stems]
    return lambda node: any(test(node) for test in tests)


def _not_both(first: str, second: str) -> Test:
    one, other = _has(first), _has(second)
    return lambda node: not (one(node) and other(node))


def _exactly_one(first: str, second: str) -> Test:
    one, other = _has(first), _has(second)
    return lambda node: one(node) != other(node)


def _together(first: str, second: str) -> Test:
    one, other = _has(first), _has(second)
    return lambda node: one(node) == other(node)


def _needs(first: str, second: str) -> Test:
    one, other = _has(first), _has(second)
    return lambda node: not one(node) or other(node)


def _only_when(stem: str, member: str, *values: Any) -> Test:
    """The element stands only where the member has one of the values."""
    has = _has(stem)
    return lambda node: not has(node) or node.get(member) in values


def _never_when(stem: str, member: str, *values: Any) -> Test:
    has = _has(stem)
    return lambda node: not has(node) or node.get(member) not in values


def _no_entry_has(name: str) -> Test:
    return lambda node: not any(name in entry for entry in node.get("entry", ()))


def _nobody_at_home(member: str) -> Test:
    return lambda node: not any(one.get("use") == "home" for one in node.get(member, ()))


def _coded_amount(node: Node) -> bool:
    return ("code" in node or "value" not in node) and bool(node.get("system", UCUM) == UCUM)


def _positive_amount(node: Node) -> bool:
    return _coded_amount(node) and bool(node.get("value", 1) > 0)


def _whole_amount(node: Node) -> bool:
    return _coded_amount(node) and node.get("code", "1") == "1" and float(node.get("value", 0)).is_integer()


def _duration(node: Node) -> bool:
    return "code" not in node or (node.get("system") == UCUM and "value" in node)


def _scheduled(node: Node) -> bool:
    return ("start" in node and "end" in node) or node.get("status") in ("proposed", "cancelled", "waitlist")


def _link_ids(items: Any) -> Iterator[str]:
    for item in items:
        yield str(item.get("linkId"))
        yield from _link_ids(item.get("item", ()))


def _unique_links(node: Node) -> bool:
    links = list(_link_ids(node.get("item", ())))
    return len(links) == len(set(links))


def _group_or_display(node: Node) -> bool:
    kind = node.get("type")
    return (kind != "group" or "item" in node) and (kind != "display" or "item" not in node)


def _codes(concepts: Any) -> Iterator[str]:
    for concept in concepts:
        yield str(concept.get("code"))
        yield from _codes(concept.get("concept", ()))


def _unique_codes(node: Node) -> bool:
    codes = list(_codes(node.get("concept", ())))
    return len(codes) == len(set(codes))


def _one_content(node: Node) -> bool:
    """https://hl7.org/fhir/R4/parameters.html: parts, or else one of a value and a resource."""
    return [_has("part")(node), _has("value[x]")(node), _has("resource")(node)].count(True) == 1


_CHOSEN = ("choice", "open-choice", "decimal", "integer", "date", "dateTime", "time", "string", "quantity")
_LONG = ("boolean", "decimal", "integer", "string", "text", "url", "open-choice")

RESOURCE_INVARIANTS: Mapping[str, tuple[Rule, ...]] = {
    "Age": (_rule("age-1", "an age has a UCUM code of time and is more than 0", _positive_amount),),
    "Appointment": (
        _rule("app-2", "start and end belong together", _together("start", "end")),
        _rule("app-3", "start and end are needed unless proposed, cancelled or on the waiting list", _scheduled),
        _rule(
            "app-4",
            "cancelationReason is for what was cancelled or nobody came to",
            _only_when("cancelationReason", "status", "noshow", "cancelled"),
        ),
    ),
    "AppointmentResponse": (_rule("apr-1", "participantType or actor is needed", _one_of("participantType", "actor")),),
    "Appointment_Participant": (_rule("app-1", "type or actor is needed", _one_of("type", "actor")),),
    "AuditEvent_Entity": (_rule("sev-1", "name and query exclude each other", _not_both("name", "query")),),
    "CarePlan_Activity": (_rule("cpl-3", "detail and reference exclude each other", _not_both("detail", "reference")),),
    "CodeSystem": (_rule("csd-1", "each code may be there once", _unique_codes),),
    "Composition_Section": (
        _rule("cmp-1", "text, entry or section is needed", _one_of("text", "entry", "section")),
        _rule("cmp-2", "emptyReason is for a section without entry", _not_both("emptyReason", "entry")),
    ),
    "ConceptMap_Target": (
        _rule(
            "cmd-1",
            "narrower and inexact need a comment",
            lambda node: "comment" in node or node.get("equivalence") not in ("narrower", "inexact"),
        ),
    ),
    "ConceptMap_Unmapped": (
        _rule("cmd-2", "fixed needs a code", lambda node: node.get("mode") != "fixed" or "code" in node),
        _rule("cmd-3", "other-map needs a url", lambda node: node.get("mode") != "other-map" or "url" in node),
    ),
    "Condition_Evidence": (_rule("con-2", "code or detail is needed", _one_of("code", "detail")),),
    "Condition_Stage": (_rule("con-1", "summary or assessment is needed", _one_of("summary", "assessment")),),
    "Consent": (_rule("ppc-1", "policy or policyRule is needed", _one_of("policy", "policyRule")),),
    "Count": (_rule("cnt-3", "a count is a whole number with the UCUM code 1", _whole_amount),),
    "Distance": (_rule("dis-1", "a distance has a UCUM code", _coded_amount),),
    "Duration": (_rule("drt-1", "a code needs a value and the system of UCUM", _duration),),
    "FamilyMemberHistory": (
        _rule("fhs-1", "age and born exclude each other", _not_both("age[x]", "born[x]")),
        _rule("fhs-2", "estimatedAge needs an age", _needs("estimatedAge", "age[x]")),
    ),
    "Goal_Target": (_rule("gol-1", "a detail needs a measure", _needs("detail[x]", "measure")),),
    "Group": (_rule("grp-1", "members are for an actual group", _only_when("member", "actual", True)),),
    "ImmunizationRecommendation_Recommendation": (
        _rule("imr-1", "vaccineCode or targetDisease is needed", _one_of("vaccineCode", "targetDisease")),
    ),
    "Immunization_Education": (
        _rule("imm-1", "documentType or reference is needed", _one_of("documentType", "reference")),
    ),
    "Linkage": (_rule("lnk-1", "two items are needed", lambda node: len(node.get("item", ())) > 1),),
    "List": (
        _rule("lst-1", "emptyReason is for an empty list", _not_both("emptyReason", "entry")),
        _rule(
            "lst-2",
            "deleted is for lists of changes",
            lambda node: node.get("mode") == "changes" or _no_entry_has("deleted")(node),
        ),
        _rule(
            "lst-3",
            "a date of an entry is for working lists",
            lambda node: node.get("mode") == "working" or _no_entry_has("date")(node),
        ),
    ),
    "MedicationAdministration_Dosage": (_rule("mad-1", "dose or rate is needed", _one_of("dose", "rate[x]")),),
    "MedicationDispense": (
        _rule(
            "mdd-1",
            "it is handed over after it was prepared",
            lambda node: not is_after(node.get("whenPrepared"), node.get("whenHandedOver")),
        ),
    ),
    "Organization": (
        _rule("org-2", "an address of an organization is never a home", _nobody_at_home("address")),
        _rule("org-3", "a telecom of an organization is never at home", _nobody_at_home("telecom")),
    ),
    "Parameters_Parameter": (_rule("inv-1", "a value, a resource or parts are needed, and one of them", _one_content),),
    "Questionnaire": (_rule("que-2", "each linkId may be there once", _unique_links),),
    "QuestionnaireResponse_Item": (_rule("qrs-1", "answer and item exclude each other", _not_both("answer", "item")),),
    "Questionnaire_EnableWhen": (
        _rule(
            "que-7",
            "exists asks for a boolean answer",
            lambda node: node.get("operator") != "exists" or "answerBoolean" in node,
        ),
    ),
    "Questionnaire_Item": (
        _rule("que-1", "a group has items, a display has none", _group_or_display),
        _rule("que-3", "a display has no code", _never_when("code", "type", "display")),
        _rule(
            "que-4", "answerOption and answerValueSet exclude each other", _not_both("answerOption", "answerValueSet")
        ),
        _rule("que-5", "this type has no answerOption", _only_when("answerOption", "type", *_CHOSEN)),
        _rule("que-5", "this type has no answerValueSet", _only_when("answerValueSet", "type", *_CHOSEN)),
        _rule("que-6", "a display is not required", _never_when("required", "type", "display")),
        _rule("que-6", "a display does not repeat", _never_when("repeats", "type", "display")),
        _rule("que-8", "a group or display has no initial value", _never_when("initial", "type", "group", "display")),
        _rule("que-9", "a display is not readOnly", _never_when("readOnly", "type", "display")),
        _rule("que-10", "this type has no maxLength", _only_when("maxLength", "type", *_LONG)),
        _rule("que-11", "answerOption and initial exclude each other", _not_both("answerOption", "initial")),
        _rule(
            "que-12",
            "several enableWhen need an enableBehavior",
            lambda node: len(node.get("enableWhen", ())) <= 2 or "enableBehavior" in node,
        ),
        _rule(
            "que-13",
            "several initial values need repeats",
            lambda node: len(node.get("initial", ())) <= 1 or node.get("repeats") is True,
        ),
    ),
    "RequestGroup_Action": (_rule("rqg-1", "a resource or actions are needed", _exactly_one("resource", "action")),),
    "ServiceRequest": (_rule("prr-1", "orderDetail needs a code", _needs("orderDetail", "code")),),
    "Task": (
        _rule(
            "inv-1",
            "lastModified must not be before authoredOn",
            lambda node: not is_after(node.get("authoredOn"), node.get("lastModified")),
        ),
    ),
    "ValueSet_Contains": (
        _rule("vsd-6", "code or display is needed", _one_of("code", "display")),
        _rule("vsd-9", "what has no code is abstract", lambda node: "code" in node or node.get("abstract") is True),
        _rule("vsd-10", "a code needs a system", _needs("code", "system")),
    ),
    "ValueSet_Include": (
        _rule("vsd-1", "system or valueSet is needed", _one_of("system", "valueSet")),
        _rule("vsd-2", "concepts need a system", _needs("concept", "system")),
        _rule("vsd-2", "filters need a system", _needs("filter", "system")),
        _rule("vsd-3", "concept and filter exclude each other", _not_both("concept", "filter")),
    ),
}
