"""Counts of refusals and how far the audit is copied."""

import sqlalchemy as sa
from alembic import op

from fhir_facade.adapters.state.columns import TEXT

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "audit_copy",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("target", TEXT, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("target", name="pk_audit_copy"),
    )
    op.create_table(
        "refusal_count",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("more", sa.BigInteger(), nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("user", TEXT, nullable=True),
        sa.Column("client", TEXT, nullable=True),
        sa.Column("detail", TEXT, nullable=True),
        sa.Column("address", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("key", name="pk_refusal_count"),
    )
    with op.batch_alter_table("refusal_count", schema=None) as batch_op:
        batch_op.create_index("ix_refusal_count_since", ["since"], unique=False)
        batch_op.create_index("ix_refusal_count_user", ["user"], unique=False)
