"""Under which grant an app began a connection, so that it ends with it."""

import sqlalchemy as sa
from alembic import op

from fhir_facade.adapters.state.columns import TEXT

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    with op.batch_alter_table("pending_connection", schema=None) as batch_op:
        batch_op.add_column(sa.Column("app_grant", TEXT, nullable=True))
