"""Launches, registrations, devices."""

import sqlalchemy as sa
from alembic import op

from fhir_facade.adapters.state.columns import TEXT

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "initial_access_token",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("uses_left", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_initial_access_token"),
    )
    with op.batch_alter_table("initial_access_token", schema=None) as batch_op:
        batch_op.create_index("ix_initial_access_token_expires_at", ["expires_at"], unique=False)
        batch_op.create_index("uq_initial_access_token_id", ["id"], unique=True)

    op.create_table(
        "known_device",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("address", TEXT, nullable=True),
        sa.Column("announced", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "hash", name="pk_known_device"),
    )
    with op.batch_alter_table("known_device", schema=None) as batch_op:
        batch_op.create_index("ix_known_device_last_at", ["last_at"], unique=False)

    op.create_table(
        "launch",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("client_id", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("patient", TEXT, nullable=True),
        sa.Column("encounter", TEXT, nullable=True),
        sa.Column("intent", TEXT, nullable=True),
        sa.Column("context", TEXT, nullable=True),
        sa.Column("banner", sa.Boolean(), nullable=False),
        sa.Column("issued_by", TEXT, nullable=True),
        sa.Column("used_by", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("hash", name="pk_launch"),
    )
    with op.batch_alter_table("launch", schema=None) as batch_op:
        batch_op.create_index("ix_launch_expires_at", ["expires_at"], unique=False)

    op.create_table(
        "open_authorization",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("browser", TEXT, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("patient", TEXT, nullable=True),
        sa.Column("picked_by", TEXT, nullable=True),
        sa.Column("launch", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("hash", name="pk_open_authorization"),
    )
    with op.batch_alter_table("open_authorization", schema=None) as batch_op:
        batch_op.create_index("ix_open_authorization_browser", ["browser"], unique=False)
        batch_op.create_index("ix_open_authorization_expires_at", ["expires_at"], unique=False)

    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.add_column(sa.Column("related_person_id", TEXT, nullable=True))
        batch_op.add_column(sa.Column("organization_id", TEXT, nullable=True))
        batch_op.create_index("ix_account_organization_id", ["organization_id"], unique=False)
        batch_op.create_index("ix_account_related_person_id", ["related_person_id"], unique=False)

    with op.batch_alter_table("app_grant", schema=None) as batch_op:
        batch_op.add_column(sa.Column("encounter", TEXT, nullable=True))
        batch_op.add_column(sa.Column("intent", TEXT, nullable=True))
        batch_op.add_column(sa.Column("context", TEXT, nullable=True))
        batch_op.add_column(sa.Column("banner", sa.Boolean(), nullable=False, server_default=sa.true()))
        batch_op.add_column(sa.Column("session", TEXT, nullable=True))
        batch_op.create_index("ix_app_grant_session", ["session"], unique=False)

    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.add_column(sa.Column("launch_uri", TEXT, nullable=True))
        batch_op.add_column(sa.Column("logout_uris", TEXT, nullable=False, server_default="[]"))
        batch_op.add_column(sa.Column("registration_hash", TEXT, nullable=True))
        batch_op.add_column(sa.Column("verified", sa.Boolean(), nullable=False, server_default=sa.true()))

    with op.batch_alter_table("session", schema=None) as batch_op:
        batch_op.add_column(sa.Column("id", TEXT, nullable=False, server_default=""))
        batch_op.add_column(sa.Column("device", TEXT, nullable=True))

    for table, column in (
        ("app_grant", "banner"),
        ("client", "logout_uris"),
        ("client", "verified"),
        ("session", "id"),
    ):
        with op.batch_alter_table(table, schema=None) as batch_op:  # only the rows that were there needed it
            batch_op.alter_column(column, server_default=None)

    op.drop_table("pending_authorization")  # what was open a moment ago is begun anew
