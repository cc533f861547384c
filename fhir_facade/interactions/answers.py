"""Bundle entries as requests, and responses as bundle entries. https://hl7.org/fhir/R4/bundle.html"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from fhir_facade.errors import BadRequest, FacadeError, TooLarge
from fhir_facade.fhir.bundle import Answered, BundleEntry
from fhir_facade.fhir.outcome import outcome_of
from fhir_facade.fhir.routes import Route, route_url
from fhir_facade.interactions.call import Call
from fhir_facade.values import FhirRequest, FhirResponse, Interaction


def entry_request(call: Call, entry: BundleEntry, position: int) -> tuple[FhirRequest, Route]:
    """The request that an entry stands for. BadRequest names the entry."""
    try:
        route, params = route_url(entry.method, entry.url, base_url=call.ports.deployment.fhir_url)
    except FacadeError as error:
        raise BadRequest(f"entry {position}: {error}", expression=f"Bundle.entry[{position}].request.url") from error
    if route.interaction in (Interaction.TRANSACTION, Interaction.BATCH):
        raise BadRequest(f"entry {position}: a Bundle inside a Bundle is not possible")
    request = FhirRequest(
        interaction=route.interaction,
        type=route.type,
        id=route.id,
        version=route.version,
        params=params,
        body=entry.resource,
        operation=route.operation,
        content_type="application/fhir+json",
        if_match=version_of(entry.if_match),
        if_none_match=versions_of(entry.if_none_match),
        if_none_exist=entry.if_none_exist,
        prefer=call.request.prefer,
        request_id=call.request.request_id,
        address=call.request.address,
    )
    return request, route


def version_of(etag: str | None) -> str | None:
    """The version id in an ETag: `W/"3"`, `"3"` or `3`."""
    return None if etag is None else etag.strip().removeprefix("W/").strip('"')


def versions_of(etags: str | None) -> str | None:
    """The version ids of a list of ETags, with commas between them; `*` stays."""
    return None if etags is None else ",".join(str(version_of(etag)) for etag in etags.split(","))


def answer(call: Call, entry: BundleEntry, response: FhirResponse) -> Answered:
    """The response entry. Reads and searches always carry their resource; writes as `Prefer` says."""
    stored = response.resource
    wanted = entry.method in ("GET", "HEAD") or call.request.prefer.returns == "representation"
    return Answered(
        status=status_line(response.status),
        location=f"{response.location}/_history/{stored.version}" if response.location and stored else None,
        etag=f'W/"{stored.version}"' if stored else None,
        last_modified=stored.last_updated if stored else None,
        resource=response.body if wanted else b"",
        full_url=f"{call.ports.deployment.fhir_url}/{stored.ref}" if stored else None,
    )


def refused(error: FacadeError) -> Answered:
    """The response entry of a failed entry of a batch."""
    return Answered(status=status_line(error.status), outcome=outcome_of(error))


@dataclass(slots=True)
class Room:
    """How much a response Bundle may still hold: a short request could otherwise ask for more than fits into memory."""

    left: int

    def take(self, answered: Answered) -> Answered:
        self.left -= len(answered.resource)
        return answered

    def refusal(self, interaction: Interaction) -> Answered | None:
        """What a read is answered with once the Bundle is full; writes are done all the same, they ask for little."""
        if self.left > 0 or interaction not in _READS:
            return None
        return refused(TooLarge("the answer is full: ask for the rest in another Bundle"))


_READS = frozenset(
    (Interaction.READ, Interaction.VREAD, Interaction.HISTORY_INSTANCE, Interaction.SEARCH_TYPE, Interaction.OPERATION)
)


def status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
