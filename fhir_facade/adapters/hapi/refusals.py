"""What is refused before HAPI is asked, or without asking it once more."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_facade.adapters.hapi.sentences import referred_to
from fhir_facade.adapters.hapi.session import Answer
from fhir_facade.errors import BadRequest, Conflict, DanglingReference, InvalidResource
from fhir_facade.fhir.extract import extract
from fhir_facade.fhir.extract.local import local_targets
from fhir_facade.fhir.references import reference_texts
from fhir_facade.values import Write

TOO_LONG = "value too long"  # as PostgreSQL and H2 say it


def refuse_for_good(answer: Answer, writes: Sequence[Write]) -> None:
    """What no other try would change."""
    if (said := referred_to(answer.diagnostics)) is not None:
        raise Conflict(said)
    if TOO_LONG in answer.diagnostics.lower():
        among = " or what is written with it" if len(writes) > 1 else ""
        raise InvalidResource(f"{writes[0].ref}{among} has a text that is too long for HAPI's database: shorten it")


def refuse_own_address(base: str, writes: Sequence[Write]) -> None:
    """HAPI takes a reference below its own address for a local one. Our callers know the records by our address, so
    whoever writes HAPI's tries to reach past the checks. Escapes may hide the address."""
    address = f"{base}/"
    for write in writes:
        if address.encode() not in write.body and b"\\" not in write.body:
            continue
        if any(text.startswith(address) for text in reference_texts(write.resource)):
            raise BadRequest(f"{write.ref} refers to another server: such references cannot be stored here")


def refuse_versions(writes: Sequence[Write]) -> None:
    """HAPI breaks on a version that is no number. Escapes may hide the word."""
    for write in writes:
        if b"_history" in write.body or b"\\u" in write.body:
            for text in sorted(local_targets(extract(dict(write.resource), texts=False), write.ref.type)):
                if "/_history/" in text:
                    raise DanglingReference(f"{write.ref} refers to {text}, which is not there: correct the reference")


def refuse_going(writes: Sequence[Write]) -> None:
    """HAPI checks each reference when it is written: what the same transaction deletes is still there for it."""
    going = {str(write.ref) for write in writes if write.kind == "delete"}
    for write in writes:
        if not any(text.encode() in write.body for text in going):
            continue
        dangling = going & local_targets(extract(dict(write.resource), texts=False), write.ref.type)
        for text in sorted(dangling):
            raise DanglingReference(f"{write.ref} refers to {text}, which is deleted with it: correct the reference")
