"""The secret of the ids of AuditEvents, and which types were looked through."""

import sqlalchemy as sa
from alembic import op

from fhir_facade.adapters.state.columns import TEXT

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "audit_name_key",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_audit_name_key"),
    )
    op.create_table(
        "naming_look",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("type", name="pk_naming_look"),
    )
