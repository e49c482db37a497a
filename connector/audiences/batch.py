"""Hashed rows as request bodies: cut at 10,000 rows, written as JSON when their turn comes.

Takes ``Hashed`` frames only. Must not know how a body travels.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from connector.hashing import Hashed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_ROWS = 10_000  # Meta's limit for one request: meta-graph-api.md §2.1
PIECE_ROWS = 2_500
BARE = frozenset({"LOOKALIKE_VALUE", "DATA_PROCESSING_OPTIONS"})  # numbers and arrays: no quotes around them
FREE_TEXT = frozenset({"EXTERN_ID"})  # the one plain column that may hold any character
_ESCAPES = {"\\": "\\\\", '"': '\\"', **{chr(code): f"\\u{code:04x}" for code in range(0x20)}}


@dataclass(frozen=True, slots=True)
class Batch:
    """At most 10,000 rows, to be sent in wire order of ``schema``."""

    schema: tuple[str, ...]
    rows: Hashed

    def __len__(self) -> int:
        return self.rows.height

    def body(self, session: dict[str, int | bool]) -> tuple[bytes, ...]:
        """Build the finished JSON body, in pieces: what takes three times its size while it is written stays small.

        ``session`` as meta-graph-api.md §2.1.
        """
        head = f'{{"session":{_compact(session)},"payload":{{"schema":{_compact(self.schema)},"data":['
        pieces = [head.encode()]
        for start in range(0, len(self), PIECE_ROWS):
            rows = _slice(self.rows, start, PIECE_ROWS)
            opens, cells, closes = _json(rows, self.schema)
            between = f"{closes},{opens}"
            written = rows.select(cells.str.join(between).cast(pl.Binary)).item()
            pieces += [(between if start else opens).encode(), written]
        pieces += [closes.encode()] if self.rows.height else []
        return (*pieces, b"]}}")

    def first(self) -> Batch:
        """Its first row alone, copied: a slice of it would keep all the rows in memory."""
        row = self.rows.head(1)
        return Batch(self.schema, Hashed(pl.DataFrame(row.to_dict(as_series=False), schema=row.schema)))

    def halves(self) -> tuple[Batch, Batch]:
        """Cut in two, for a request that was too large."""
        middle = len(self) // 2
        return Batch(self.schema, _slice(self.rows, 0, middle)), Batch(self.schema, _slice(self.rows, middle))


def json_rows(hashed: Hashed, schema: tuple[str, ...]) -> pl.Series:
    r"""Write each row as a JSON list in the order of ``schema``; a null is ``""``, as Meta wants an unknown value.

    >>> from connector.hashing import Hashed
    >>> json_rows(Hashed(pl.DataFrame({"EXTERN_ID": ['a"1'], "EMAIL": [None]})), ("EXTERN_ID", "EMAIL")).to_list()
    ['["a\\\\"1",""]']
    """
    opens, cells, closes = _json(hashed, schema)
    row = pl.concat_str([pl.lit(opens), cells, pl.lit(closes)])
    return hashed.select(row.alias("rows")).to_series()


def _json(hashed: Hashed, schema: tuple[str, ...]) -> tuple[str, pl.Expr, str]:
    """Write the cells of each row: what opens a row, its cells, what closes it.

    What stands between two cells is one literal, and a null adds nothing: half the time.
    """
    parts: list[pl.Expr] = []
    text, opens = "[", ""
    for place, code in enumerate(schema):
        bare = code in BARE
        column = _escaped(hashed, code) if code in FREE_TEXT else pl.col(code).cast(pl.String)
        text += ("," if place else "") + ("" if bare else '"')
        if place:
            parts.append(pl.lit(text))
        else:
            opens = text
        parts.append(column.fill_null('""') if bare else column)
        text = "" if bare else '"'
    return opens, pl.concat_str(parts, ignore_nulls=True), f"{text}]"


def batches(rows: Iterable[Hashed], schema: tuple[str, ...], *, size: int = MOST_ROWS) -> Iterator[Batch]:
    """Cut a stream of rows into batches of ``size``; only the last one is shorter."""
    waiting: list[pl.DataFrame] = []
    count = 0
    for part in rows:
        waiting.append(part.select(schema))
        count += part.height
        if count < size:
            continue
        whole = pl.concat(waiting, rechunk=False)
        full = count - count % size
        for start in range(0, full, size):
            yield Batch(schema, _slice(whole, start, size))
        waiting, count = [whole.slice(full)], count - full
    if count:
        yield Batch(schema, Hashed(pl.concat(waiting)))


def _slice(rows: pl.DataFrame, start: int, count: int | None = None) -> Hashed:
    return Hashed(rows.slice(start, count))


def _escaped(hashed: Hashed, code: str) -> pl.Expr:
    column = pl.col(code)
    if not hashed.select(column.str.contains(r'["\\\x00-\x1f]').any()).item():
        return column
    return column.str.replace_many(list(_ESCAPES), list(_ESCAPES.values()))


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
