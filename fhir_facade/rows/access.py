"""What the decisions about access have to remember of the records in the store."""

from __future__ import annotations

from fhir_facade.rows.table import Row, table


@table("naming_type", ("type",))
class NamingType(Row, frozen=True, kw_only=True):
    """A type whose records may be about nobody, of which one was written that names a patient all the same."""

    type: str


@table("naming_look", ("type",))
class NamingLook(Row, frozen=True, kw_only=True):
    """A type of which everything was looked through for records that name a patient, written before they were noted."""

    type: str
