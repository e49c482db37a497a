"""What the access gate remembers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "access_check",
        sa.Column("destination", sa.String(200), primary_key=True),
        sa.Column("check_id", sa.String(40), primary_key=True),
        sa.Column("mark", sa.String(16), nullable=False),
        sa.Column("checked_at", sa.String(40), nullable=False),
        sa.Column("valid_until", sa.String(40), nullable=False),
        sa.Column("since", sa.String(40), nullable=False),
        sa.Column("finding", sa.JSON, nullable=False),
    )
