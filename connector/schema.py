"""The tables of the state database: names, numbers and times, never an attribute, a digest of a person or a token.

Times are ISO-8601 text in UTC (``2026-11-21T18:00:00.000000Z``): it sorts, and every database keeps it as written.
A change here needs a step in ``migrations/``; a test compares the two on SQLite and PostgreSQL.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Integer, MetaData, String, Table, Text

METADATA = MetaData()

DESTINATIONS = Table(
    "destination",
    METADATA,
    Column("name", String(200), primary_key=True),
    Column("ad_account", String(40), nullable=False),
    Column("business", String(40)),
    Column("audience_id", String(40)),
    Column("audience_name", Text),
    Column("value_based", Boolean, nullable=False),
    Column("made_by_us", Boolean, nullable=False),
    Column("token_env", String(200), nullable=False),
    Column("data_terms_version", String(40)),
    Column("data_terms_by", Text),
    Column("data_terms_at", String(40)),
    Column("creating_title", Text),
    Column("paused_at", String(40)),
    Column("created_at", String(40), nullable=False),
)

RUNS = Table(
    "run",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("segment", String(200), nullable=False),
    Column("destination", String(200), nullable=False),
    Column("mode", String(20), nullable=False),
    Column("audience_id", String(40)),
    Column("started_at", String(40), nullable=False),
    Column("ended_at", String(40)),
    Column("status", String(20), nullable=False),
    Column("error_code", String(200)),
    Column("report", JSON),
)

BATCHES = Table(
    "batch",
    METADATA,
    Column("run_id", String(40), primary_key=True),
    Column("session_id", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("operation", String(10), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("retried", Integer, nullable=False),
    Column("acknowledged_at", String(40), nullable=False),
)

AUDIT = Table(
    "audit",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", String(40), nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(100), nullable=False),
    Column("client", Text),
    Column("asset", Text),
    Column("before", JSON),
    Column("after", JSON),
    Column("reason", Text),
    Column("approver", Text),
    Column("source", Text),
    Column("fbtrace_id", String(100)),
    Column("outcome", String(40), nullable=False),
    Column("prev", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

ACCESS_CHECKS = Table(
    "access_check",
    METADATA,
    Column("destination", String(200), primary_key=True),
    Column("check_id", String(40), primary_key=True),
    Column("mark", String(16), nullable=False),
    Column("checked_at", String(40), nullable=False),
    Column("valid_until", String(40), nullable=False),
    Column("since", String(40), nullable=False),
    Column("finding", JSON, nullable=False),
)

LEDGER_SLICES = Table(
    "ledger_slice",
    METADATA,
    Column("audience_id", String(40), primary_key=True),
    Column("segment", String(200), primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("key_mark", String(16), nullable=False),
    Column("next_part", Integer, nullable=False),
    Column("changed_at", String(40), nullable=False),
)

LEDGER_PARTS = Table(
    "ledger_part",
    METADATA,
    Column("audience_id", String(40), primary_key=True),
    Column("segment", String(200), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(10), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("checksum", String(64), nullable=False),
    Column("run_id", String(40), nullable=False),
)

LOCKS = Table(
    "audience_lock",
    METADATA,
    Column("audience_id", String(40), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("place", String(200), nullable=False),
    Column("process", String(60), nullable=False),
    Column("token", String(32), nullable=False),
    Column("until", BigInteger, nullable=False),
)

FORGOTTEN = Table(
    "forgotten",
    METADATA,
    Column("mark", String(64), primary_key=True),
    Column("key_mark", String(16), nullable=False),
    Column("forgotten_at", String(40), nullable=False),
)

FORGETTING = Table(
    "forgetting",
    METADATA,
    Column("audience_id", String(40), primary_key=True),
    Column("since", String(40), nullable=False),
)

# Written and read by access/token_store.py alone, which encrypts with a key that is kept elsewhere.
TOKENS = Table(
    "token",
    METADATA,
    Column("destination", String(200), primary_key=True),
    Column("ciphertext", Text, nullable=False),
    Column("expires_at", String(40)),
    Column("scopes", JSON, nullable=False),
    Column("user_id", String(40)),
    Column("stored_at", String(40), nullable=False),
)
