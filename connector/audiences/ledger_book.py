"""The ledger's book in the state database: which parts make a slice, and what each part's file must be.

The files hold the rows, the book says which of them count; a change is one transaction that fails when another run got in
between (compare and set on the slice's generation). A slice is what one segment put into one audience.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from connector.errors import TransientError
from connector.schema import LEDGER_PARTS, LEDGER_SLICES
from connector.state import now

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from connector.audiences.members import Kind
    from connector.state import State


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a slice.

    ``rows``: profiles in the order they were sent, the first ``held`` of them acknowledged, the others perhaps in the
    audience, perhaps not. ``leaving``: fingerprints whose removal was begun. ``gone``: fingerprints that were taken out.
    """

    part: int
    kind: Kind
    rows: int
    held: int
    checksum: str
    run_id: str


@dataclass(frozen=True, slots=True)
class SliceRecord:
    """A slice as the book has it. ``key_mark`` tells which fingerprint key it was written with."""

    audience_id: str
    segment: str
    generation: int
    key_mark: str
    next_part: int
    parts: tuple[Part, ...]


class LedgerBook:
    """Reads and changes the book."""

    def __init__(self, state: State) -> None:
        self._state = state

    def slices(self, audience_id: str | None = None) -> list[SliceRecord]:
        """All slices, or those of one audience, with their parts in order."""
        chosen, parts = sa.select(LEDGER_SLICES), sa.select(LEDGER_PARTS).order_by(LEDGER_PARTS.c.part)
        if audience_id is not None:
            chosen = chosen.where(LEDGER_SLICES.c.audience_id == audience_id)
            parts = parts.where(LEDGER_PARTS.c.audience_id == audience_id)
        with self._state.session() as connection:
            found = connection.execute(chosen).mappings().all()
            listed = connection.execute(parts).mappings().all()
        return [_record(dict(row), [dict(p) for p in listed]) for row in found]

    def slice(self, audience_id: str, segment: str) -> SliceRecord | None:
        """One slice; nothing when nothing was ever sent."""
        return next((s for s in self.slices(audience_id) if s.segment == segment), None)

    def begin(self, empty: SliceRecord) -> SliceRecord:
        """Open a slice without parts; its generation and part numbers go on from a former one's."""
        values = {
            "audience_id": empty.audience_id, "segment": empty.segment, "generation": empty.generation,
            "key_mark": empty.key_mark, "next_part": empty.next_part, "changed_at": now(),
        }  # fmt: skip
        with self._state.session() as connection:
            connection.execute(LEDGER_SLICES.insert().values(**values))
        return empty

    def add(self, record: SliceRecord, part: Part) -> SliceRecord:
        """Enter a part whose file is written."""
        with self._state.session() as connection:
            following = self._advance(connection, record, next_part=part.part + 1)
            connection.execute(LEDGER_PARTS.insert().values(
                audience_id=record.audience_id, segment=record.segment, part=part.part, kind=part.kind,
                rows=part.rows, held=part.held, checksum=part.checksum, run_id=part.run_id,
            ))  # fmt: skip
        return _with(following, (*record.parts, part))

    def hold(self, record: SliceRecord, held: dict[int, int]) -> SliceRecord:
        """Say for some parts how many of their first rows are acknowledged."""
        with self._state.session(durable=False) as connection:
            following = self._advance(connection, record)
            for part, rows in held.items():
                mine = _parts_of(sa.update(LEDGER_PARTS), record).where(LEDGER_PARTS.c.part == part)
                connection.execute(mine.values(held=rows))
        return _with(following, tuple(replace(p, held=held.get(p.part, p.held)) for p in record.parts))

    def doubt(self, record: SliceRecord) -> SliceRecord:
        """Take back every acknowledgement: the audience is being replaced, and nothing is certain until that is done."""
        with self._state.session() as connection:
            following = self._advance(connection, record)
            connection.execute(_parts_of(sa.update(LEDGER_PARTS), record).values(held=0))
        return _with(following, tuple(replace(p, held=0) for p in record.parts))

    def drop(self, record: SliceRecord, parts: set[int]) -> SliceRecord:
        """Strike parts whose rows are all told elsewhere, or gone."""
        with self._state.session() as connection:
            following = self._advance(connection, record)
            if parts:
                connection.execute(_parts_of(sa.delete(LEDGER_PARTS), record).where(LEDGER_PARTS.c.part.in_(parts)))
        return _with(following, tuple(p for p in record.parts if p.part not in parts))

    def forget_slice(self, record: SliceRecord) -> None:
        """Strike a whole slice."""
        with self._state.session() as connection:
            self._advance(connection, record)
            connection.execute(_parts_of(sa.delete(LEDGER_PARTS), record))
            mine = (LEDGER_SLICES.c.audience_id == record.audience_id) & (LEDGER_SLICES.c.segment == record.segment)
            connection.execute(sa.delete(LEDGER_SLICES).where(mine))

    def _advance(self, connection: Connection, record: SliceRecord, **values: Any) -> SliceRecord:
        """Move the slice one generation on, if nobody else has."""
        mine = (
            (LEDGER_SLICES.c.audience_id == record.audience_id)
            & (LEDGER_SLICES.c.segment == record.segment)
            & (LEDGER_SLICES.c.generation == record.generation)
        )
        changed = {"generation": record.generation + 1, "changed_at": now(), **values}
        if connection.execute(sa.update(LEDGER_SLICES).where(mine).values(**changed)).rowcount != 1:
            raise TransientError(
                f"another run changed the ledger of segment {record.segment} meanwhile",
                code="ledger.overtaken",
                hint="Nothing is lost: run the same command again.",
            )
        return SliceRecord(
            record.audience_id, record.segment, record.generation + 1, record.key_mark,
            int(values.get("next_part", record.next_part)), record.parts,
        )  # fmt: skip


def _parts_of(statement: Any, record: SliceRecord) -> Any:
    return statement.where(LEDGER_PARTS.c.audience_id == record.audience_id).where(
        LEDGER_PARTS.c.segment == record.segment
    )


def _with(record: SliceRecord, parts: tuple[Part, ...]) -> SliceRecord:
    return replace(record, parts=parts)


def _record(row: dict[str, Any], listed: list[dict[str, Any]]) -> SliceRecord:
    mine = [p for p in listed if (p["audience_id"], p["segment"]) == (row["audience_id"], row["segment"])]
    parts = tuple(Part(p["part"], p["kind"], p["rows"], p["held"], p["checksum"], p["run_id"]) for p in mine)
    return SliceRecord(row["audience_id"], row["segment"], row["generation"], row["key_mark"], row["next_part"], parts)
