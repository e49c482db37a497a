"""Destinations, runs, batches, audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "destination",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("ad_account", sa.String(40), nullable=False),
        sa.Column("business", sa.String(40)),
        sa.Column("audience_id", sa.String(40)),
        sa.Column("audience_name", sa.Text),
        sa.Column("value_based", sa.Boolean, nullable=False),
        sa.Column("made_by_us", sa.Boolean, nullable=False),
        sa.Column("token_env", sa.String(200), nullable=False),
        sa.Column("data_terms_version", sa.String(40)),
        sa.Column("data_terms_by", sa.Text),
        sa.Column("data_terms_at", sa.String(40)),
        sa.Column("creating_title", sa.Text),
        sa.Column("paused_at", sa.String(40)),
        sa.Column("created_at", sa.String(40), nullable=False),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("segment", sa.String(200), nullable=False),
        sa.Column("destination", sa.String(200), nullable=False),
        sa.Column("mode", sa.String(20), nullable=False),
        sa.Column("audience_id", sa.String(40)),
        sa.Column("started_at", sa.String(40), nullable=False),
        sa.Column("ended_at", sa.String(40)),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("error_code", sa.String(200)),
        sa.Column("report", sa.JSON),
    )
    op.create_table(
        "batch",
        sa.Column("run_id", sa.String(40), primary_key=True),
        sa.Column("session_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("operation", sa.String(10), nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("retried", sa.Integer, nullable=False),
        sa.Column("acknowledged_at", sa.String(40), nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.String(100), nullable=False),
        sa.Column("client", sa.Text),
        sa.Column("asset", sa.Text),
        sa.Column("before", sa.JSON),
        sa.Column("after", sa.JSON),
        sa.Column("reason", sa.Text),
        sa.Column("approver", sa.Text),
        sa.Column("source", sa.Text),
        sa.Column("fbtrace_id", sa.String(100)),
        sa.Column("outcome", sa.String(40), nullable=False),
        sa.Column("prev", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
