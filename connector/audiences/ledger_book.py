"""The ledger's book in the state database: which parts make a slice, how their files are called and what they must be.

The files hold the rows, the book says which of them count; a change is one transaction that fails when another run got in
between (compare and set on the slice's generation). A slice is what one segment put into one audience.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import sqlalchemy as sa

from connector.errors import TransientError
from connector.schema import LEDGER_PARTS, LEDGER_SLICES, RUNS
from connector.state import now

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from connector.audiences.members_loading import Kind
    from connector.state import State


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a slice.

    ``rows``: profiles in the order they were sent, the first ``held`` of them acknowledged, the others perhaps in the
    audience, perhaps not. ``leaving``: fingerprints whose removal was begun. ``gone``: fingerprints that were taken out.
    ``lost`` has no file: so many rows stood in files that nobody could read when the slice was begun anew.
    """

    part: int
    kind: Kind
    rows: int
    held: int
    checksum: str
    run_id: str

    @property
    def file(self) -> str:
        """How its file is called: with the run that wrote it, so that no two runs ever write the same file."""
        return f"{self.part:06d}-{self.run_id}.parquet"


def part_number(file: str) -> int:
    """Read the part's number in a file's name, a hidden one's too; -1 when it is none of ours."""
    number = file.removeprefix(".").partition("-")[0]
    return int(number) if number.isdecimal() else -1


def part_run(file: str) -> str:
    """Read the run's id in a file's name."""
    return file.removesuffix(".parquet").partition("-")[2]


def folder_of(audience_id: str, segment: str) -> str:
    """Name the folder of a slice."""
    return f"{audience_id}/{quote(segment, safe='')}"


@dataclass(frozen=True, slots=True)
class SliceRecord:
    """A slice as the book has it. ``key_mark`` tells which fingerprint key it was written with."""

    audience_id: str
    segment: str
    generation: int
    key_mark: str
    next_part: int
    parts: tuple[Part, ...]

    @property
    def files(self) -> tuple[Part, ...]:
        """The parts that have a file."""
        return tuple(part for part in self.parts if part.kind != "lost")

    @property
    def lost(self) -> int:
        """How many rows are lost."""
        return sum(part.rows for part in self.parts if part.kind == "lost")

    @property
    def folder(self) -> str:
        """Where its files lie."""
        return folder_of(self.audience_id, self.segment)


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

    def begin(self, begun: SliceRecord, *, instead_of: SliceRecord | None = None) -> SliceRecord:
        """Open a slice; its generation and part numbers go on from the one it takes the place of."""
        values = {
            "audience_id": begun.audience_id, "segment": begun.segment, "generation": begun.generation,
            "key_mark": begun.key_mark, "next_part": begun.next_part, "changed_at": now(),
        }  # fmt: skip
        with self._state.session() as connection:
            if instead_of is not None:
                self._advance(connection, instead_of)
                connection.execute(_parts_of(sa.delete(LEDGER_PARTS), instead_of))
                mine = LEDGER_SLICES.c.audience_id == begun.audience_id
                connection.execute(sa.delete(LEDGER_SLICES).where(mine & (LEDGER_SLICES.c.segment == begun.segment)))
            connection.execute(LEDGER_SLICES.insert().values(**values))
            for part in begun.parts:
                connection.execute(LEDGER_PARTS.insert().values(**_part_row(begun, part)))
        return begun

    def knows_run(self, run_id: str) -> bool:
        """Tell whether a run was begun with this state database (what follows a point in the id says which part of it)."""
        with self._state.session() as connection:
            return (
                connection.execute(sa.select(RUNS.c.id).where(RUNS.c.id == run_id.partition(".")[0])).first()
                is not None
            )

    def add(self, record: SliceRecord, part: Part) -> SliceRecord:
        """Enter a part whose file is written."""
        with self._state.session() as connection:
            following = self._advance(connection, record, next_part=part.part + 1)
            connection.execute(LEDGER_PARTS.insert().values(**_part_row(record, part)))
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


def _part_row(record: SliceRecord, part: Part) -> dict[str, Any]:
    return {
        "audience_id": record.audience_id, "segment": record.segment, "part": part.part, "kind": part.kind,
        "rows": part.rows, "held": part.held, "checksum": part.checksum, "run_id": part.run_id,
    }  # fmt: skip


def _with(record: SliceRecord, parts: tuple[Part, ...]) -> SliceRecord:
    return replace(record, parts=parts)


def _record(row: dict[str, Any], listed: list[dict[str, Any]]) -> SliceRecord:
    mine = [p for p in listed if (p["audience_id"], p["segment"]) == (row["audience_id"], row["segment"])]
    parts = tuple(Part(p["part"], p["kind"], p["rows"], p["held"], p["checksum"], p["run_id"]) for p in mine)
    return SliceRecord(row["audience_id"], row["segment"], row["generation"], row["key_mark"], row["next_part"], parts)
