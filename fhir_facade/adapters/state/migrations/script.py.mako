"""${message[0].upper() + message[1:]}."""

import sqlalchemy as sa
from alembic import op

from fhir_facade.adapters.state.columns import SERIAL, TEXT

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${"\n".join(line for line in upgrades.splitlines() if "###" not in line).strip()}
