"""A corner of a store that belongs to one test: fresh ids, and searches that see only what the test wrote."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from string import ascii_letters, digits
from typing import Any
from urllib.parse import parse_qsl

from fhir_facade.fhir.query import parse_query
from fhir_facade.ports import FhirStore
from fhir_facade.values import Page, Precondition, Ref, SearchQuery, StoredResource, Write

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    store: FhirStore
    name: str

    def ref(self, type: str, label: str) -> Ref:
        return Ref(type, f"{self.name}-{label}")

    def resource(self, type: str, label: str, /, **elements: Any) -> dict[str, Any]:
        """The least that the type needs, the mark of the case, and the given elements."""
        mark = {"identifier": [{"system": "urn:case", "value": self.name}]}
        return {"resourceType": type, "id": f"{self.name}-{label}"} | LEAST.get(type, {}) | mark | elements

    def put_of(self, resource: Mapping[str, Any] | bytes, *, precondition: Precondition | None = None) -> Write:
        body = resource if isinstance(resource, bytes) else json.dumps(resource, separators=(",", ":")).encode()
        parsed = json.loads(body)
        return Write("put", Ref(parsed["resourceType"], parsed["id"]), body, parsed, precondition)

    async def put(
        self, type: str, label: str, /, *, precondition: Precondition | None = None, **elements: Any
    ) -> StoredResource:
        """Write one resource, in a millisecond of its own. A `bytes` element is JSON as it is to be sent."""
        await asyncio.sleep(0.002)  # lastUpdated counts milliseconds; a tie would make the order by time undefined
        return await self.put_resource(self.resource(type, label, **elements), precondition=precondition)

    async def put_resource(
        self, resource: Mapping[str, Any] | bytes, *, precondition: Precondition | None = None
    ) -> StoredResource:
        (stored,) = await self.store.write([self.put_of(resource, precondition=precondition)])
        return stored

    async def delete(self, ref: Ref, *, precondition: Precondition | None = None) -> StoredResource:
        (stored,) = await self.store.write([Write("delete", ref, precondition=precondition)])
        return stored

    def query(self, type: str, asked: str = "", **changes: Any) -> SearchQuery:
        """The query of a search string, within the case."""
        params = [("identifier", f"urn:case|{self.name}"), *parse_qsl(asked, keep_blank_values=True)]
        return replace(parse_query(type, params, now=NOW).query, **changes)

    async def search(self, type: str, asked: str = "", **changes: Any) -> Page:
        return await self.store.search(self.query(type, asked, **changes))

    async def labels(self, type: str, asked: str = "", **changes: Any) -> list[str]:
        """The labels of what a search finds, in its order."""
        page = await self.search(type, asked, **{"count": 50, **changes})
        assert page.cursor is None, "more than a test can mean"
        return self.labels_of(page)

    def labels_of(self, page: Page) -> list[str]:
        return [entry.id.removeprefix(f"{self.name}-") for entry in page.entries]


def dense(length: int, alphabet: str = ascii_letters + digits) -> str:
    """A text, the same each time, of which a database cannot store less than all of it."""
    return "".join(Random(length).choices(alphabet, k=length))


LEAST: dict[str, dict[str, Any]] = {
    "Observation": {"status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}},
    "DiagnosticReport": {"status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}},
    "Encounter": {"status": "finished", "class": {"code": "AMB"}},
    "RiskAssessment": {"status": "final", "subject": {"display": "somebody"}},
    "ValueSet": {"status": "active"},
}
