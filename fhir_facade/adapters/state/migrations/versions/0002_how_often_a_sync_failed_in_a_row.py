"""How often a sync failed in a row."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("connection", schema=None) as batch_op:
        batch_op.add_column(sa.Column("failures", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    with op.batch_alter_table("connection", schema=None) as batch_op:  # only the rows that were there needed it
        batch_op.alter_column("failures", server_default=None)
