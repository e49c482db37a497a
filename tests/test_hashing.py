from __future__ import annotations

import hashlib

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.hashing import hash_columns


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_every_column_not_declared_plain_is_hashed():
    keys = pl.DataFrame({"EXTERN_ID": ["c1"], "EMAIL": ["mary@example.com"], "FN": ["정"]})
    assert hash_columns(keys, plain={"EXTERN_ID"}).row(0) == (
        "c1",
        "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79",
        "8fa8cd9c440be61d0151429310034083132b35975c4bea67fdd74158eb51db14",
    )


def test_null_stays_null_and_the_hash_of_nothing_never_leaves():
    hashed = hash_columns(pl.DataFrame({"EMAIL": [None, "", "a"]}), plain=())
    assert hashed["EMAIL"].to_list() == [None, None, sha256("a")]


def test_a_cell_that_is_a_digest_already_passes_as_it_is():
    digest = sha256("a")
    hashed = hash_columns(pl.DataFrame({"EMAIL": [digest, digest[:-1], digest.upper(), f"{digest}\n"]}), plain=())
    assert hashed["EMAIL"].to_list() == [digest, sha256(digest[:-1]), sha256(digest.upper()), sha256(f"{digest}\n")]


def test_columns_keep_their_order_and_frames_their_height():
    keys = pl.DataFrame({"ZIP": ["94107", None], "EXTERN_ID": ["1", "2"], "EMAIL": ["a@b.co", "c@d.co"]})
    hashed = hash_columns(keys, plain=["EXTERN_ID"])
    assert hashed.columns == keys.columns
    assert hashed.height == 2
    assert hash_columns(keys.clear(), plain=["EXTERN_ID"]).shape == (0, 3)


def test_columns_that_are_no_text_are_left_alone():
    keys = pl.DataFrame({"row": [1, 2], "EMAIL": ["a", "b"]})
    assert hash_columns(keys, plain=())["row"].to_list() == [1, 2]


@settings(deadline=None)
@given(st.lists(st.none() | st.text()))
def test_the_digest_is_that_of_the_text_in_utf_8(cells: list[str | None]):
    hashed = hash_columns(pl.DataFrame({"FN": cells}, schema={"FN": pl.String}), plain=())
    assert hashed["FN"].to_list() == [sha256(cell) if cell else None for cell in cells]


def test_a_column_of_few_different_cells_is_hashed_as_any_other() -> None:
    cells = (["us", None, "", "de", "0" * 64] * 2000)[:9999]
    hashed = hash_columns(pl.DataFrame({"COUNTRY": cells}), plain=())
    assert hashed["COUNTRY"].to_list() == [plain_digest(cell) for cell in cells]


def plain_digest(cell: str | None) -> str | None:
    if not cell:
        return None
    return cell if len(cell) == 64 else hashlib.sha256(cell.encode()).hexdigest()
