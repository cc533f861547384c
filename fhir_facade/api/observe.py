"""What operators see: one JSON line per request and Prometheus metrics; neither holds an id, a name or a token."""

from __future__ import annotations

import logging
import time

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_LOG = logging.getLogger("fhir_facade.request")
_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


_OF_EVERY_REQUEST = vars(logging.LogRecord(_LOG.name, logging.INFO, __file__, 0, "request.answered", (), None))


class _Answered(logging.LogRecord):
    """A record without the search for who logs, which would cost as much as a read: it is always this module."""

    def __init__(self, room: str, interaction: str, status: int, ms: float, request_id: str) -> None:
        self.__dict__.update(_OF_EVERY_REQUEST)
        self.created = time.time()
        self.room, self.interaction, self.status = room, interaction, status
        self.ms, self.request_id = ms, request_id


class Observer:
    """Counts and logs requests; one per process, with a registry of its own so that two apps never collide."""

    def __init__(self, shared_folder: str | None = None) -> None:
        """`shared_folder` is where the client library puts the metrics of all processes of a server."""
        self.registry = CollectorRegistry()
        self._shared_folder = shared_folder
        self._requests = Counter(
            "fhir_facade_requests", "Requests answered", ("room", "interaction", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "fhir_facade_request_seconds",
            "Time to answer",
            ("room", "interaction"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def request(self, room: str, interaction: str, status: int, seconds: float, request_id: str) -> None:
        key = (room, interaction, status)
        known = self._known.get(key)
        if known is None:
            counter = self._requests.labels(room, interaction, str(status))
            known = self._known[key] = (counter, self._seconds.labels(room, interaction))
        known[0].inc()
        known[1].observe(seconds)
        if _LOG.isEnabledFor(logging.INFO):
            _LOG.handle(_Answered(room, interaction, status, round(seconds * 1000, 2), request_id))

    def defect(self, request_id: str) -> None:
        """Inside an except block: the trace goes to the log, the caller gets the id."""
        _LOG.exception("request.defect", extra={"request_id": request_id})

    def metrics(self) -> bytes:
        if self._shared_folder is None:
            return generate_latest(self.registry)
        all_processes = CollectorRegistry()
        MultiProcessCollector(all_processes, self._shared_folder)  # type: ignore[no-untyped-call]
        return generate_latest(all_processes)
