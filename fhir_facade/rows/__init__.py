"""The facade's own rows (never FHIR resources): frozen structs from which the state adapter derives its SQL tables.

A row class is a frozen `msgspec.Struct` registered by `@table`. Allowed field types: str, int, bool, bytes, datetime
(aware UTC), tuples of str, and `| None` of these; msgspec can therefore carry rows inside an intent.
"""

from fhir_facade.rows.table import Append, Put, Remove, Row, RowChange, TableSpec, spec_of, table, tables

__all__ = ["Append", "Put", "Remove", "Row", "RowChange", "TableSpec", "spec_of", "table", "tables"]
