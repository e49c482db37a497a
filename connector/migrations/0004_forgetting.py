"""Audiences that may still hold somebody who is forgotten."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "forgetting",
        sa.Column("audience_id", sa.String(40), primary_key=True),
        sa.Column("since", sa.String(40), nullable=False),
    )
