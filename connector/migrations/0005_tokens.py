"""Access tokens of people who logged in, encrypted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "token",
        sa.Column("destination", sa.String(200), primary_key=True),
        sa.Column("ciphertext", sa.Text, nullable=False),
        sa.Column("expires_at", sa.String(40)),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("user_id", sa.String(40)),
        sa.Column("stored_at", sa.String(40), nullable=False),
    )
