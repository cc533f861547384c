"""Runs the steps on the connection that `migrate` hands over; the embedded store's own tables are none of ours.

https://alembic.sqlalchemy.org/en/latest/cookbook.html#sharing-a-connection-with-one-or-more-programmatic-migration-commands
"""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from fhir_facade.adapters.state.columns import SERIAL, TEXT
from fhir_facade.adapters.state.tables import facade_tables

METADATA = facade_tables().metadata


def ours(name: str | None, kind: str, _parents: Any) -> bool:
    return kind != "table" or name in METADATA.tables


def named(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """The two types that differ between the databases are written by name."""
    return {id(TEXT): "TEXT", id(SERIAL): "SERIAL"}.get(id(item), False) if kind == "type" else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    include_name=ours,
    render_item=named,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
