"""First tables."""

import sqlalchemy as sa
from alembic import op

from fhir_facade.adapters.state.columns import SERIAL, TEXT

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "access_token",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("grant_id", TEXT, nullable=False),
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("hash", name="pk_access_token"),
    )
    with op.batch_alter_table("access_token", schema=None) as batch_op:
        batch_op.create_index("ix_access_token_expires_at", ["expires_at"], unique=False)
        batch_op.create_index("ix_access_token_grant_id", ["grant_id"], unique=False)

    op.create_table(
        "account",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("username", TEXT, nullable=False),
        sa.Column("username_key", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("password_hash", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("patient_id", TEXT, nullable=True),
        sa.Column("practitioner_id", TEXT, nullable=True),
        sa.Column("zone", TEXT, nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
    )
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.create_index("ix_account_patient_id", ["patient_id"], unique=False)
        batch_op.create_index("ix_account_practitioner_id", ["practitioner_id"], unique=False)
        batch_op.create_index("uq_account_username_key", ["username_key"], unique=True)

    op.create_table(
        "app_grant",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("client_id", TEXT, nullable=True),
        sa.Column("account_id", TEXT, nullable=True),
        sa.Column("patient", TEXT, nullable=True),
        sa.Column("nonce", TEXT, nullable=True),
        sa.Column("signed_in_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_because", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_app_grant"),
    )
    with op.batch_alter_table("app_grant", schema=None) as batch_op:
        batch_op.create_index("ix_app_grant_account_id", ["account_id"], unique=False)
        batch_op.create_index("ix_app_grant_client_id", ["client_id"], unique=False)
        batch_op.create_index("ix_app_grant_expires_at", ["expires_at"], unique=False)

    op.create_table(
        "audit",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("user", TEXT, nullable=True),
        sa.Column("client", TEXT, nullable=True),
        sa.Column("token", TEXT, nullable=True),
        sa.Column("patient", TEXT, nullable=True),
        sa.Column("entity", TEXT, nullable=True),
        sa.Column("version", TEXT, nullable=True),
        sa.Column("query", TEXT, nullable=True),
        sa.Column("detail", TEXT, nullable=True),
        sa.Column("address", TEXT, nullable=True),
        sa.Column("request_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index("ix_audit_patient_at", ["patient", "at"], unique=False)
        batch_op.create_index("ix_audit_user_at", ["user", "at"], unique=False)

    op.create_table(
        "authorization_code",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("grant_id", TEXT, nullable=False),
        sa.Column("client_id", TEXT, nullable=False),
        sa.Column("redirect_uri", TEXT, nullable=False),
        sa.Column("challenge", TEXT, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("hash", name="pk_authorization_code"),
    )
    with op.batch_alter_table("authorization_code", schema=None) as batch_op:
        batch_op.create_index("ix_authorization_code_expires_at", ["expires_at"], unique=False)
        batch_op.create_index("ix_authorization_code_grant_id", ["grant_id"], unique=False)

    op.create_table(
        "client",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("redirect_uris", TEXT, nullable=False),
        sa.Column("secret_hash", TEXT, nullable=True),
        sa.Column("jwks", TEXT, nullable=True),
        sa.Column("jwks_uri", TEXT, nullable=True),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_client"),
    )
    op.create_table(
        "client_origin",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("origin", TEXT, nullable=False),
        sa.Column("client_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("origin", "client_id", name="pk_client_origin"),
    )
    with op.batch_alter_table("client_origin", schema=None) as batch_op:
        batch_op.create_index("ix_client_origin_client_id", ["client_id"], unique=False)

    op.create_table(
        "connection",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("patient", TEXT, nullable=False),
        sa.Column("vendor", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("account", TEXT, nullable=True),
        sa.Column("scopes", TEXT, nullable=False),
        sa.Column("zone", TEXT, nullable=True),
        sa.Column("device", TEXT, nullable=True),
        sa.Column("consent", TEXT, nullable=True),
        sa.Column("last_sync_at", sa.BigInteger(), nullable=True),
        sa.Column("last_error", TEXT, nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("leased_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_connection"),
    )
    with op.batch_alter_table("connection", schema=None) as batch_op:
        batch_op.create_index("ix_connection_due_at", ["due_at"], unique=False)
        batch_op.create_index("uq_connection_patient_vendor", ["patient", "vendor"], unique=True)
        batch_op.create_index("uq_connection_vendor_account", ["vendor", "account"], unique=True)

    op.create_table(
        "connection_tokens",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("connection", TEXT, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("connection", name="pk_connection_tokens"),
    )
    op.create_table(
        "event",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("topic", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("patient", TEXT, nullable=False),
        sa.Column("data", TEXT, nullable=False),
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index("ix_event_patient_id", ["patient", "id"], unique=False)

    op.create_table(
        "intent",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("puts", TEXT, nullable=False),
        sa.Column("deletes", TEXT, nullable=False),
        sa.Column("changes", sa.LargeBinary(), nullable=False),
        sa.Column("before", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("looks", sa.BigInteger(), nullable=False),
        sa.Column("refused", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_intent"),
    )
    with op.batch_alter_table("intent", schema=None) as batch_op:
        batch_op.create_index("ix_intent_created_at", ["created_at"], unique=False)
        batch_op.create_index("ix_intent_due_at", ["due_at"], unique=False)

    op.create_table(
        "intent_key",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("intent_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_intent_key"),
    )
    with op.batch_alter_table("intent_key", schema=None) as batch_op:
        batch_op.create_index("ix_intent_key_intent_id", ["intent_id"], unique=False)

    op.create_table(
        "login_throttle",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("blocked_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_login_throttle"),
    )
    with op.batch_alter_table("login_throttle", schema=None) as batch_op:
        batch_op.create_index("ix_login_throttle_last_at", ["last_at"], unique=False)

    op.create_table(
        "pending_authorization",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("client_id", TEXT, nullable=False),
        sa.Column("redirect_uri", TEXT, nullable=False),
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("challenge", TEXT, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("state", TEXT, nullable=True),
        sa.Column("nonce", TEXT, nullable=True),
        sa.Column("browser", TEXT, nullable=True),
        sa.Column("patient", TEXT, nullable=True),
        sa.Column("picked_by", TEXT, nullable=True),
        sa.Column("fresh_after", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("hash", name="pk_pending_authorization"),
    )
    with op.batch_alter_table("pending_authorization", schema=None) as batch_op:
        batch_op.create_index("ix_pending_authorization_browser", ["browser"], unique=False)
        batch_op.create_index("ix_pending_authorization_expires_at", ["expires_at"], unique=False)

    op.create_table(
        "pending_connection",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("connection", TEXT, nullable=False),
        sa.Column("sealed_verifier", sa.LargeBinary(), nullable=False),
        sa.Column("redirect_uri", TEXT, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("session", TEXT, nullable=True),
        sa.Column("user", TEXT, nullable=True),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("hash", name="pk_pending_connection"),
    )
    with op.batch_alter_table("pending_connection", schema=None) as batch_op:
        batch_op.create_index("ix_pending_connection_connection", ["connection"], unique=False)
        batch_op.create_index("ix_pending_connection_expires_at", ["expires_at"], unique=False)

    op.create_table(
        "refresh_token",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("grant_id", TEXT, nullable=False),
        sa.Column("client_id", TEXT, nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("hash", name="pk_refresh_token"),
    )
    with op.batch_alter_table("refresh_token", schema=None) as batch_op:
        batch_op.create_index("ix_refresh_token_expires_at", ["expires_at"], unique=False)
        batch_op.create_index("ix_refresh_token_grant_id", ["grant_id"], unique=False)

    op.create_table(
        "session",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("address", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("hash", name="pk_session"),
    )
    with op.batch_alter_table("session", schema=None) as batch_op:
        batch_op.create_index("ix_session_account_id", ["account_id"], unique=False)
        batch_op.create_index("ix_session_expires_at", ["expires_at"], unique=False)

    op.create_table(
        "signing_key",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("kid", TEXT, nullable=False),
        sa.Column("public", TEXT, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_key"),
    )
    with op.batch_alter_table("signing_key", schema=None) as batch_op:
        batch_op.create_index("ix_signing_key_created_at", ["created_at"], unique=False)

    op.create_table(
        "sync_cursor",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("connection", TEXT, nullable=False),
        sa.Column("data_type", TEXT, nullable=False),
        sa.Column("through", TEXT, nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("connection", "data_type", name="pk_sync_cursor"),
    )
    op.create_table(
        "sync_run",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("connection", TEXT, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("targets", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("connection", name="pk_sync_run"),
    )
    op.create_table(
        "used_assertion",
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("client_id", TEXT, nullable=False),
        sa.Column("jti_hash", TEXT, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "jti_hash", name="pk_used_assertion"),
    )
    with op.batch_alter_table("used_assertion", schema=None) as batch_op:
        batch_op.create_index("ix_used_assertion_expires_at", ["expires_at"], unique=False)
