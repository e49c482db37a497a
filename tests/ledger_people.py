"""People as the ledger keeps them: rows for a slice, made by the real thing from the plain people of ``audience_model.py``."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import polars as pl

from connector.audiences.ledger import open_ledger
from connector.audiences.ledger_files import open_ledger_files
from connector.audiences.ledger_rows import ledger_rows, with_identities
from connector.hashing import Hashed
from tests.by_hand import sha

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from connector.audiences.ledger import Ledger
    from connector.state import State
    from tests.audience_model import Person

CODES = ("EXTERN_ID", "EMAIL", "PHONE", "FN", "LN", "ZIP", "COUNTRY")
TODAY = date(2026, 11, 21)


def print_of(person: Person) -> tuple[int, int]:
    """A fingerprint: any 128 bits that only this person has."""
    digest = sha(repr(person.attributes()))
    return int(digest[:16], 16), int(digest[16:32], 16)


def prints_of(people: Sequence[Person]) -> pl.DataFrame:
    prints = [print_of(person) for person in people]
    return pl.DataFrame(
        {"high": [p[0] for p in prints], "low": [p[1] for p in prints]},
        schema={"high": pl.UInt64, "low": pl.UInt64},
    )


def hashed_rows(people: Sequence[Person]) -> tuple[Hashed, pl.Series]:
    """The rows to send, with their identities, and whose each one is."""
    rows = [(number, dict(row)) for number, person in enumerate(people) for row in person.rows()]
    table = {code: [row.get(code) for _, row in rows] for code in CODES}
    profiles = pl.Series([number for number, _ in rows], dtype=pl.UInt32)
    hashed = Hashed(pl.DataFrame(table, schema=dict.fromkeys(CODES, pl.String)))
    return with_identities(hashed, list(CODES[1:])), profiles


def slice_of(
    state: State, root: Path, *parts: pl.DataFrame, segment: str = "a", key: bytes = bytes(32), held: int | None = None
) -> Ledger:
    """A slice of just these parts, as the next run finds it; of each the first ``held`` rows (or all) are acknowledged."""
    files = open_ledger_files(str(root))
    ledger = open_ledger(state, files, audience_id="1", segment=segment, key=key, run_id="r")
    ledger.clear()
    for rows in parts:
        if rows.height:
            ledger.hold({ledger.intend(rows): rows.height if held is None else held})
    return open_ledger(state, files, audience_id="1", segment=segment, key=key, run_id="r")


def kept_rows(people: Sequence[Person], *, sent: date = TODAY) -> pl.DataFrame:
    """The ledger's rows."""
    hashed, profiles = hashed_rows(people)
    return ledger_rows(hashed, profiles, prints_of(people), list(CODES[1:]), sent=sent)
