"""Mail, and links to choose a password."""

import sqlalchemy as sa
from alembic import op

from fhir_facade.adapters.state.columns import TEXT

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "due_mail",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("address", TEXT, nullable=False),
        sa.Column("language", TEXT, nullable=False),
        sa.Column("zone", TEXT, nullable=False),
        sa.Column("happened_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("leased_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_due_mail"),
    )
    with op.batch_alter_table("due_mail", schema=None) as batch_op:
        batch_op.create_index("ix_due_mail_account_id", ["account_id"], unique=False)
        batch_op.create_index("ix_due_mail_due_at", ["due_at"], unique=False)

    op.create_table(
        "password_link",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_password_link"),
    )
    with op.batch_alter_table("password_link", schema=None) as batch_op:
        batch_op.create_index("ix_password_link_account_id", ["account_id"], unique=False)
        batch_op.create_index("ix_password_link_expires_at", ["expires_at"], unique=False)

    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.add_column(sa.Column("email", TEXT, nullable=True))
        batch_op.add_column(sa.Column("language", TEXT, nullable=False, server_default="en"))
    with op.batch_alter_table("account", schema=None) as batch_op:  # only the rows that were there needed it
        batch_op.alter_column("language", server_default=None)
