"""What all processes of a server counted."""

import asyncio

from fhir_facade.api.tallies import SUFFIX, Tallies, exposition

READ = ("fhir", "read", 200)
REFUSED = ("fhir", "read", 403)


async def written(folder, files):
    while len(list(folder.glob(f"*{SUFFIX}"))) < files:
        await asyncio.sleep(0.01)


def lines(tallies):
    return exposition(tallies.of_all()).decode().splitlines()


def test_nothing_is_told_of_what_was_never_asked():
    assert [line for line in lines(Tallies()) if not line.startswith("#")] == []


def test_a_time_counts_in_every_bucket_that_reaches_it():
    tallies = Tallies()
    for seconds in (0.0005, 0.001, 0.0011, 60.0):
        tallies.count(READ, seconds)

    found = lines(tallies)
    assert 'fhir_facade_request_seconds_bucket{interaction="read",le="0.001",room="fhir"} 2.0' in found
    assert 'fhir_facade_request_seconds_bucket{interaction="read",le="0.002",room="fhir"} 3.0' in found
    assert 'fhir_facade_request_seconds_bucket{interaction="read",le="10.0",room="fhir"} 3.0' in found
    assert 'fhir_facade_request_seconds_bucket{interaction="read",le="+Inf",room="fhir"} 4.0' in found
    assert 'fhir_facade_request_seconds_count{interaction="read",room="fhir"} 4.0' in found


def test_requests_are_told_by_status_and_times_are_not():
    tallies = Tallies()
    tallies.count(READ, 0.1)
    tallies.count(REFUSED, 0.1)

    found = lines(tallies)
    assert 'fhir_facade_requests_total{interaction="read",room="fhir",status="403"} 1.0' in found
    assert 'fhir_facade_request_seconds_count{interaction="read",room="fhir"} 2.0' in found


async def test_a_process_tells_what_the_others_counted_also_when_they_ended(tmp_path):
    one, other = Tallies(str(tmp_path)), Tallies(str(tmp_path))
    one.count(READ, 0.1)
    one.count(READ, 0.1)
    other.count(READ, 0.1)
    await written(tmp_path, 2)
    del other

    assert 'fhir_facade_requests_total{interaction="read",room="fhir",status="200"} 3.0' in lines(one)
    assert lines(Tallies(str(tmp_path))) == lines(one)
