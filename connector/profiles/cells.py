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

from typing import TYPE_CHECKING, Final

import polars as pl

from connector.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polars.datatypes import DataTypeClass

_CONTROL: Final = r"[\x00-\x08\x0E-\x1F\x7F]"


def as_text(frame: pl.DataFrame, *, null: Sequence[str] = (), file: str) -> pl.DataFrame:
    """Return the frame with every column String, or List(String) where it holds lists.

    Raises:
        SourceError: ``source.type`` for a struct, a list of lists or a type without text.
    """
    columns = [
        _nulled(_text(pl.col(name), dtype, column=name, file=file), dtype, null).alias(name)
        for name, dtype in frame.schema.items()
    ]
    return frame.select(columns)


def _nulled(text: pl.Expr, dtype: pl.DataType, null: Sequence[str]) -> pl.Expr:
    if isinstance(dtype, pl.List | pl.Array):
        return text
    words = ["", *null]
    return pl.when(~text.is_in(words)).then(text) if null else pl.when(text != "").then(text)


def _text(cell: pl.Expr, dtype: pl.DataType, *, column: str, file: str) -> pl.Expr:
    if isinstance(dtype, pl.List | pl.Array):
        if isinstance(dtype.inner, pl.List | pl.Array):
            raise _refused(column, "lists of lists", file)
        if isinstance(dtype, pl.Array):
            cell = cell.arr.to_list()
        return cell.list.eval(_text(pl.element(), _instance(dtype.inner), column=column, file=file))
    if isinstance(dtype, pl.String):
        return cell
    if dtype.is_float():
        return _float(cell)
    if isinstance(dtype, pl.Decimal):
        text = cell.cast(pl.String)
        return (
            pl.when(text.str.contains(".", literal=True))
            .then(text.str.strip_chars_end("0").str.strip_chars_end("."))
            .otherwise(text)
        )
    if isinstance(dtype, pl.Datetime):
        zone = "%:z" if dtype.time_zone else ""
        return cell.dt.to_string(f"%Y-%m-%dT%H:%M:%S%.f{zone}")
    if isinstance(dtype, pl.Binary):
        text = cell.cast(pl.String, strict=False)
        return pl.when(text.str.contains(_CONTROL).fill_null(True)).then(cell.bin.encode("hex")).otherwise(text)
    if dtype.is_integer() or isinstance(dtype, pl.Boolean | pl.Date | pl.Time | pl.Categorical | pl.Enum | pl.Null):
        return cell.cast(pl.String)
    kind = "structures" if isinstance(dtype, pl.Struct) else f"values of type {dtype.base_type().__name__}"
    raise _refused(column, kind, file)


def _float(cell: pl.Expr) -> pl.Expr:
    whole = cell.is_finite() & (cell == cell.round(0)) & (cell.abs() < 1e38)
    digits = pl.when(whole).then(cell).cast(pl.Int128).cast(pl.String)
    return pl.coalesce(digits, pl.when(cell.is_finite()).then(cell).cast(pl.String))


def _instance(dtype: DataTypeClass | pl.DataType) -> pl.DataType:
    return dtype if isinstance(dtype, pl.DataType) else dtype()


def _refused(column: str, kind: str, file: str) -> SourceError:
    return SourceError(
        f'column "{column}" holds {kind}, which are no attribute',
        code="source.type",
        hint="Flatten it into columns of its own where the file is written.",
        file=file,
    )
