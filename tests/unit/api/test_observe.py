"""What operators see of a request."""

import asyncio
import logging
from datetime import datetime

import msgspec

from fhir_facade.adapters.logs import JsonLines
from fhir_facade.api.observe import Observer

EVERYTHING = (
    "%(asctime)s %(levelname)s %(name)s %(filename)s:%(lineno)d %(funcName)s %(process)d %(threadName)s %(message)s"
)


async def test_requests_of_one_turn_leave_a_line_each_in_one_record_that_any_formatter_can_write(caplog):
    observer = Observer()
    with caplog.at_level(logging.INFO, "fhir_facade.request"):
        observer.request("fhir", "read", 200, 0.00123, "r1")
        observer.request("fhir", "create", 201, 0.00456, "r2")
        await asyncio.sleep(0)

    (record,) = caplog.records
    first, second = map(msgspec.json.decode, JsonLines().format(record).splitlines())
    assert datetime.fromisoformat(first.pop("at")).tzinfo is not None
    assert first == {
        "level": "info", "logger": "fhir_facade.request", "event": "request.answered",
        "room": "fhir", "interaction": "read", "status": 200, "ms": 1.23, "request_id": "r1",
    }  # fmt: skip
    assert second["request_id"] == "r2"
    assert "INFO fhir_facade.request observe.py" in logging.Formatter(EVERYTHING).format(record)


async def test_a_request_is_counted_by_what_it_was_and_what_became_of_it():
    observer = Observer()

    observer.request("fhir", "read", 200, 0.001, "r1")
    observer.request("fhir", "read", 200, 0.001, "r2")

    assert b'fhir_facade_requests_total{interaction="read",room="fhir",status="200"} 2.0' in observer.metrics()
