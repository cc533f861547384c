"""What operators see of a request."""

import logging

from fhir_facade.adapters.logs import JsonLines
from fhir_facade.api.observe import Observer

EVERYTHING = (
    "%(asctime)s %(levelname)s %(name)s %(filename)s:%(lineno)d %(funcName)s %(process)d %(threadName)s %(message)s"
)


def test_a_request_leaves_one_line_that_any_formatter_can_write(caplog):
    with caplog.at_level(logging.INFO, "fhir_facade.request"):
        Observer().request("fhir", "read", 200, 0.00123, "r1")

    (record,) = caplog.records
    assert record.members == {
        "room": "fhir", "interaction": "read", "status": 200, "ms": 1.23, "request_id": "r1",
    }  # fmt: skip
    assert '"event":"request.answered","room":"fhir","interaction":"read"' in JsonLines().format(record)
    assert "INFO fhir_facade.request observe.py" in logging.Formatter(EVERYTHING).format(record)


def test_a_request_is_counted_by_what_it_was_and_what_became_of_it():
    observer = Observer()

    observer.request("fhir", "read", 200, 0.001, "r1")
    observer.request("fhir", "read", 200, 0.001, "r2")

    assert b'fhir_facade_requests_total{interaction="read",room="fhir",status="200"} 2.0' in observer.metrics()
