"""Which guards there may be."""

import sqlalchemy as sa
from alembic import op

from fhir_facade.adapters.state.columns import TEXT

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "alert_guard",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert_guard"),
    )
