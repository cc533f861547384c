"""Brings the facade's own tables to the shape this program needs; the steps are the files in `migrations/versions`.

`python -m fhir_facade.adapters.state.migrate "what changes"` writes the next step from what the row classes say now.
https://alembic.sqlalchemy.org/en/latest/autogenerate.html
"""

from __future__ import annotations

import sqlite3
import sys
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from fhir_facade.adapters.state.revisions import FOLDER, revisions
from fhir_facade.errors import Unavailable

if TYPE_CHECKING:
    from alembic.config import Config


def upgrade_file(connection: sqlite3.Connection) -> None:
    """As `upgrade`, in the open transaction of a driver's connection."""
    try:
        upgrade(core_connection(connection))
    except DBAPIError as error:
        raise Unavailable(f"the data file cannot be used: {error.orig}") from error


def upgrade(connection: sa.Connection) -> None:
    """Inside the connection's open transaction. Unavailable when the database was written by a newer program."""
    at, known = _revision(connection), revisions()
    if at == known[-1]:
        return
    if at is not None and at not in known:
        raise Unavailable(
            f"the database was written by a newer fhir-facade (its tables have revision {at}, this program knows "
            f"{known[-1]}): start that version, or restore a backup that this one made"
        )
    from alembic import command

    command.upgrade(_config(connection), "head")


def core_connection(connection: sqlite3.Connection) -> sa.Connection:
    """A SQLAlchemy connection on an open driver connection, which must be in autocommit mode and stays so.

    Setting an isolation level would commit, and a pool would roll back, so neither is asked for.
    """
    assert connection.isolation_level is None
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: connection,
        poolclass=StaticPool,
        pool_reset_on_return=None,
        skip_autocommit_rollback=True,
        hide_parameters=True,
    )
    return engine.connect()


def _revision(connection: sa.Connection) -> str | None:
    """What the database says, read without the migration library: a start with nothing to do stays quick."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _config(connection: sa.Connection) -> Config:
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def write_revision(message: str) -> None:
    """The next step, as a file to read and correct."""
    from alembic import command

    driver = sqlite3.connect(":memory:", isolation_level=None)
    connection = core_connection(driver)
    if revisions():
        upgrade(connection)
    command.revision(_config(connection), message, autogenerate=True, rev_id=f"{len(revisions()) + 1:04}")
    driver.close()


if __name__ == "__main__":
    write_revision(sys.argv[1])
