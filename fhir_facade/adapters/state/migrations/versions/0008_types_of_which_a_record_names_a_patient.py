"""Types of which a record names a patient."""

import sqlalchemy as sa
from alembic import op

from fhir_facade.adapters.state.columns import TEXT

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "naming_type",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("type", name="pk_naming_type"),
    )
