"""`$validate`: whether a resource would be accepted, without storing it.

https://hl7.org/fhir/R4/resource-operation-validate.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fhir_facade.access.check import Deny
from fhir_facade.access.policy import Ask, decide
from fhir_facade.errors import BadRequest, Issue
from fhir_facade.fhir.document import parse_stored
from fhir_facade.fhir.operations import Inputs
from fhir_facade.fhir.outcome import operation_outcome
from fhir_facade.fhir.validation import validate as issues_of
from fhir_facade.fhir.validation.profiles import is_known, profile_issues
from fhir_facade.interactions.audit import audit_lines, patients_of_stored, record_lines
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.operations.referrers import referrer
from fhir_facade.interactions.read import visible
from fhir_facade.values import FhirResponse, Interaction, JsonObject, StoredResource

_MODES: Final = {"create": Interaction.CREATE, "update": Interaction.UPDATE, "delete": Interaction.DELETE}
PROFILE: Final = "profile"
"""A mode that asks for no right but to read."""
_SERIOUS: Final = ("fatal", "error")


async def validate(call: Call, inputs: Inputs) -> FhirResponse:
    """200 with an OperationOutcome, whatever is found; without a resource the stored one is looked at. A profile that
    is not known here is an error, never a success."""
    mode, given = inputs.text("mode"), inputs.object("resource")
    _refuse(call, inputs, mode, given)
    stored = None if call.request.id is None else await visible(call, call.ref)
    found = list(_issues(call, inputs, stored, given))
    if mode == "delete" and not found and call.ports.deployment.deletes_checked:
        found += await _of_referrers(call)
    about = set() if stored is None else patients_of_stored((stored,))
    await record_lines(call.ports, audit_lines(call.ports, call.principal, call.request, about))
    return FhirResponse(200, operation_outcome(found))


async def _of_referrers(call: Call) -> list[Issue]:
    """What the store would say to a deletion of what something refers to."""
    kind = await referrer(call.ports.store, call.ref)
    if kind is None:
        return []
    text = f"{call.ref} cannot be deleted: a resource of type {kind} refers to it; delete or change that first"
    return [Issue("conflict", text, call.type)]


def _refuse(call: Call, inputs: Inputs, mode: str | None, given: JsonObject | None) -> None:
    if mode is not None and mode not in (*_MODES, PROFILE):
        raise BadRequest(f"mode={mode}: it must be one of {', '.join((*_MODES, PROFILE))}", expression="mode")
    if mode in ("update", "delete", PROFILE) and call.request.id is None:
        raise BadRequest(f"mode={mode} is about one resource: ask at its own address", expression="mode")
    if mode == PROFILE and given is not None:
        raise BadRequest("mode=profile is about the resource that is stored: send none", expression="resource")
    if mode == PROFILE and inputs.text("profile") is None:
        raise BadRequest("mode=profile needs the profile to hold the resource against", expression="profile")
    if given is None and call.request.id is None:
        raise BadRequest("$validate needs a resource to look at", expression="resource")


def _issues(call: Call, inputs: Inputs, stored: StoredResource | None, given: JsonObject | None) -> Iterator[Issue]:
    mode, before = inputs.text("mode"), None if stored is None else parse_stored(stored.body)
    after = None if mode == "delete" else given or before
    if after is not None:
        yield from _of_resource(call, after, inputs.text("profile"))
    if mode is not None and mode in _MODES:
        yield from _of_mode(call, mode, before, after)


def _of_resource(call: Call, resource: JsonObject, profile: str | None) -> Iterator[Issue]:
    kind = str(resource["resourceType"])
    if kind != call.type:
        yield Issue("invalid", f"the resource is a {kind}, the address says {call.type}", kind)
    issues = issues_of(resource, type=kind, every=True)
    yield from issues
    asked = {} if profile is None else {profile: None}
    if any(issue.severity in _SERIOUS for issue in issues):
        unknown = [one for one in asked if not is_known(one)]
        yield from (issue for one in unknown for issue in profile_issues(resource, one))
        return
    said = {issue.diagnostics for issue in issues}
    yield from (issue for one in asked for issue in profile_issues(resource, one) if issue.diagnostics not in said)
    yield from _remarks(resource, kind)


def _remarks(resource: JsonObject, kind: str) -> Iterator[Issue]:
    """What forbids nothing: a claim that cannot be looked at, a resource that a person cannot read (dom-6)."""
    meta: Any = resource.get("meta", {})
    for claimed in meta.get("profile", ()):
        if not is_known(claimed):
            text = f"the profile {claimed} is not known here, so nothing was held against it"
            yield Issue("not-supported", text, f"{kind}.meta.profile", "warning")
    if "text" not in resource and kind not in ("Binary", "Bundle", "Parameters"):
        yield Issue("invariant", f"{kind} has no narrative, as it should for people (dom-6).", kind, "warning")


def _of_mode(call: Call, mode: str, before: JsonObject | None, after: JsonObject | None) -> Iterator[Issue]:
    """Whether this caller may do it, to this resource."""
    rights = decide(call.principal, Ask(_MODES[mode], call.type, call.request.id, circle=call.circle))
    current = None if mode == "create" else before
    refusal = rights if isinstance(rights, Deny) else rights.check.may_write(current, after)
    if refusal is not None:
        yield Issue("forbidden", refusal.reason, call.type)
    if mode == "update" and after is not None and after.get("id") != call.request.id:
        text = f"the resource has the id {after.get('id')!r}, the address {call.request.id!r}: make them agree"
        yield Issue("invalid", text, f"{call.type}.id")
