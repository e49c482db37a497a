"""Digests as four numbers, and sets of them, against plain Python strings and sets."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.audiences.digest_set import DigestSet, split
from connector.audiences.ledger_rows import digest_identity, identities_of
from connector.audiences.packing import keys_of_digests, keys_of_words, pack, unpack, word_names

FEW = settings(max_examples=40)
# A few that share their first half, or all but the last digit, beside any others.
digests = st.one_of(
    st.sampled_from(
        ["0" * 64, "f" * 64, "0" * 63 + "1", "a" * 32 + "0" * 32, "a" * 32 + "f" * 32, "0123456789abcdef" * 4]
    ),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
)
columns = st.lists(st.none() | digests, max_size=30)


def series(values: list[str | None]) -> pl.Series:
    return pl.Series("EMAIL", values, dtype=pl.String)


@FEW
@given(columns)
def test_a_packed_digest_is_the_same_again(values: list[str | None]) -> None:
    words = pl.DataFrame(pack(series(values), "EMAIL"))
    assert words.columns == word_names("EMAIL")
    assert words.rows() == [number_words(value) for value in values]
    assert unpack(words, "EMAIL").to_list() == values


def number_words(digest: str | None) -> tuple[int | None, ...]:
    """The four words by hand."""
    return tuple(None if digest is None else int(digest[at : at + 16], 16) for at in (0, 16, 32, 48))


@FEW
@given(columns)
def test_a_digest_is_recognised_by_whoever_packed_it_and_whoever_did_not(values: list[str | None]) -> None:
    words = pl.DataFrame(pack(series(values), "EMAIL"))
    from_words, from_text = keys_of_words(words, "EMAIL"), keys_of_digests(series(values))
    assert all(np.array_equal(one, other) for one, other in zip(from_words, from_text, strict=True))
    identities = digest_identity(series(values))
    assert identities_of(words, "EMAIL").to_list() == identities.to_list()
    assert identities.to_list() == [None if value is None else int(value[:32], 16) for value in values]
    halves = split(identities)
    assert all(np.array_equal(one, other) for one, other in zip(from_words, halves, strict=True))


@FEW
@given(st.lists(columns, max_size=12), columns)
def test_a_set_of_digests_holds_just_what_was_put_in(parts: list[list[str | None]], asked: list[str | None]) -> None:
    """By their first 96 bits: equal there is equal."""
    known, plain = DigestSet(), set()
    for part in parts:
        known.put(keys_of_digests(series(part)))
        plain |= {value[:24] for value in part if value is not None}
    found = known.find(keys_of_digests(series(asked))).tolist()
    assert found == [value is not None and value[:24] in plain for value in asked]
    assert known.contains(digest_identity(series(asked))).to_list() == found
    assert bool(len(known)) == bool(plain)
