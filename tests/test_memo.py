from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector import memo
from connector.memo import Memo

Rows = list[tuple[str | None, str | None]]
ROWS = st.lists(st.tuples(st.sampled_from([None, "", "a", "b", "é", "a\x1f"]), st.sampled_from([None, "", "fr", "de"])))


def frame_of(rows: Rows) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"cell": pl.String, "country": pl.String}, orient="row")


def told(frame: pl.DataFrame) -> pl.Series:
    """Something that depends on both cells, and is null for some."""
    joined = pl.col("cell") + "/" + pl.col("country").fill_null("none")
    return frame.select(pl.when(pl.col("cell") != "b").then(joined)).to_series()


@given(frames=st.lists(ROWS, max_size=6), most=st.sampled_from([1, 3, 1000]), enough=st.sampled_from([0, 1000]))
def test_it_says_what_the_work_says_however_little_it_may_remember(frames: list[Rows], most: int, enough: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memo, "MOST", most)
        patch.setattr(memo, "ENOUGH", enough)
        remembers = Memo(told)
        for rows in frames:
            frame = frame_of(rows)
            assert remembers.of(frame).to_list() == told(frame).to_list()


def test_nothing_is_worked_out_twice() -> None:
    asked: list[str] = []

    def work(frame: pl.DataFrame) -> pl.Series:
        asked.extend(frame["cell"].to_list())
        return frame["cell"].str.to_uppercase()

    remembers = Memo(work)
    for cells in (["a", "b", "a"], ["b", "c", None], ["a", "c"]):
        given_cells = pl.DataFrame({"cell": pl.Series(cells, dtype=pl.String)})
        assert remembers.of(given_cells).to_list() == [cell and cell.upper() for cell in cells]
    assert asked == ["a", "b", "c"]


def test_a_column_of_different_cells_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "ENOUGH", 10)
    frames: list[int] = []

    def work(frame: pl.DataFrame) -> pl.Series:
        frames.append(frame.height)
        return frame["cell"]

    remembers = Memo(work)
    for start in (0, 20, 20):
        cells = [str(number) for number in range(start, start + 20)]
        assert remembers.of(pl.DataFrame({"cell": cells})).to_list() == cells
    assert frames == [20, 20, 20], "from the second frame on nothing is looked up"


def test_many_threads_may_ask_at_once() -> None:
    remembers = Memo(lambda frame: frame["cell"] + "!")

    def ask(seed: int) -> bool:
        cells = [str((seed * 7 + number * 13) % 500) for number in range(2000)]
        return remembers.of(pl.DataFrame({"cell": cells})).to_list() == [f"{cell}!" for cell in cells]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(100)))
