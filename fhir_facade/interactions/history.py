"""History of an instance. https://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

from fhir_facade.errors import Gone, NotFound
from fhir_facade.fhir.bundle import history_bundle
from fhir_facade.fhir.document import parse
from fhir_facade.interactions.audit import audit_line, patient_of_stored, record_lines
from fhir_facade.interactions.call import Call
from fhir_facade.interactions.pages import Asked, history_query, open_page, page_links
from fhir_facade.values import FhirResponse, Page, StoredResource


async def history(call: Call) -> FhirResponse:
    """Versions newest first. Who may not see the current version sees none; each version is judged by itself."""
    request = call.request
    asked = open_page(call)
    absent = NotFound(f"{call.ref} is not there")
    query = history_query(call, asked)
    try:
        page = await call.ports.store.history(query)
    except NotFound:
        raise absent from None
    if not call.sees_all:
        await _refuse_foreign(call, absent)
    versions = [version for version in page.entries if _may_leave(call, version)]
    patient = patient_of_stored(version for version in versions if not version.deleted)
    await record_lines(call.ports, [audit_line(call.ports, call.principal, request, patient=patient)])
    return FhirResponse(200, _bundle(call, asked, page, versions))


async def _refuse_foreign(call: Call, absent: NotFound) -> None:
    try:
        current = await call.ports.store.read(call.ref)
    except (NotFound, Gone):
        raise absent from None
    if not _may_leave(call, current):
        raise absent


def _may_leave(call: Call, version: StoredResource) -> bool:
    return version.deleted or call.sees_all or call.allow.check.may_leave(parse(version.body))


def _bundle(call: Call, asked: Asked, page: Page, versions: list[StoredResource]) -> bytes:
    return history_bundle(
        versions,
        base_url=call.ports.deployment.fhir_url,
        links=page_links(call, asked, page),
        total=page.total,
        id=call.ports.ids.new(),
        now=call.ports.clock.now(),
    )
