"""Seals of the audit and emergency access."""

import sqlalchemy as sa
from alembic import op

from fhir_facade.adapters.state.columns import TEXT

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "audit_erasure",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("line", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject", TEXT, nullable=True),
        sa.Column("actor", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("line", name="pk_audit_erasure"),
    )
    op.create_table(
        "audit_seal",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("salts", sa.LargeBinary(), nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_seal"),
    )
    with op.batch_alter_table("audit_seal", schema=None) as batch_op:
        batch_op.create_index("ix_audit_seal_last", ["last"], unique=False)

    op.create_table(
        "emergency_access",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("practitioner", TEXT, nullable=False),
        sa.Column("patient", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("user", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_emergency_access"),
    )
    with op.batch_alter_table("emergency_access", schema=None) as batch_op:
        batch_op.create_index("ix_emergency_access_patient_ends_at", ["patient", "ends_at"], unique=False)
        batch_op.create_index("ix_emergency_access_practitioner_ends_at", ["practitioner", "ends_at"], unique=False)

    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index("ix_audit_at", ["at"], unique=False)
