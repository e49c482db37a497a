"""One rule for how a typed cell becomes text, whatever source it came from.

============  =====================================================================================
integer       plain digits
decimal       plain digits, no trailing zeros after the point
float         a whole number without ``.0``; any other shortest form; NaN and infinities are null
boolean       ``true``, ``false``
date          ``1990-05-01``
timestamp     ``1990-05-01T13:45:00``, with a fraction if there is one and the offset if it has a zone
time          ``13:45:00``
bytes         UTF-8 text; lower-case hex where they are none
category      its text
list          a list of text, each element by this rule
struct        refused
============  =====================================================================================

An empty cell and a cell equal to one of the source's ``null`` words are null. Must not know where cells come from.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import polars as pl

from connector.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONTROL: Final = r"[\x00-\x08\x0E-\x1F\x7F]"


def as_text(frame: pl.DataFrame, *, null: Sequence[str] = (), file: str) -> pl.DataFrame:
    """Return the frame with every column String, or List(String) where it holds lists.

    Raises:
        SourceError: ``source.type`` for a struct, a list of lists or a type without text.
    """
    readable = frame.with_columns(_decoded(column) for column in frame.iter_columns() if column.dtype == pl.Binary)
    cells = []
    for name, dtype in readable.schema.items():
        text = _text(pl.col(name), dtype, column=name, file=file)
        if not isinstance(dtype, pl.List | pl.Array):
            text = pl.when(~text.is_in(["", *null]) if null else text != "").then(text)
        cells.append(text.alias(name))
    return readable.select(cells)


def _text(cell: pl.Expr, dtype: pl.DataType, *, column: str, file: str) -> pl.Expr:  # noqa: PLR0911  one return a type
    match dtype:
        case pl.String():
            return cell
        case pl.List() | pl.Array():
            inner = dtype.inner if isinstance(dtype.inner, pl.DataType) else dtype.inner()
            if isinstance(inner, pl.List | pl.Array | pl.Binary):
                raise _refused(column, "lists of lists or of bytes", file)
            lists = cell.arr.to_list() if isinstance(dtype, pl.Array) else cell
            return lists.list.eval(_text(pl.element(), inner, column=column, file=file))
        case pl.Float64() | pl.Float32():
            return _float(cell)
        case pl.Decimal():
            text = cell.cast(pl.String)
            trimmed = text.str.strip_chars_end("0").str.strip_chars_end(".")
            return pl.when(text.str.contains(".", literal=True)).then(trimmed).otherwise(text)
        case pl.Datetime():
            return cell.dt.to_string("%Y-%m-%dT%H:%M:%S%.f" + ("%:z" if dtype.time_zone else ""))
        case pl.Boolean() | pl.Date() | pl.Time() | pl.Categorical() | pl.Enum() | pl.Null():
            return cell.cast(pl.String)
    if dtype.is_integer():
        return cell.cast(pl.String)
    kind = "structures" if isinstance(dtype, pl.Struct) else f"values of type {dtype.base_type().__name__}"
    raise _refused(column, kind, file)


def _decoded(column: pl.Series) -> pl.Series:
    """Turn bytes into the text they are, or into hex."""
    try:
        text = column.cast(pl.String)
    except pl.exceptions.PolarsError:
        # One cell is no UTF-8: polars knows no conversion that spares the others.
        return pl.Series(
            column.name, [None if cell is None else _text_or_hex(cell) for cell in column], dtype=pl.String
        )
    hex_digits = pl.col(column.name).bin.encode("hex")
    chosen = pl.when(pl.lit(text).str.contains(_CONTROL)).then(hex_digits).otherwise(pl.lit(text))
    return column.to_frame().select(chosen.alias(column.name)).to_series()


def _text_or_hex(cell: bytes) -> str:
    try:
        text = cell.decode()
    except UnicodeDecodeError:
        return cell.hex()
    return cell.hex() if re.search(_CONTROL, text) else text


def _float(cell: pl.Expr) -> pl.Expr:
    whole = cell.is_finite() & (cell == cell.round(0)) & (cell.abs() < 1e38)
    digits = pl.when(whole).then(cell).cast(pl.Int128).cast(pl.String)
    return pl.coalesce(digits, pl.when(cell.is_finite()).then(cell).cast(pl.String))


def _refused(column: str, kind: str, file: str) -> SourceError:
    return SourceError(
        f'column "{column}" holds {kind}, which are no attribute',
        code="source.type",
        hint="Flatten it into columns of its own where the file is written.",
        file=file,
    )
