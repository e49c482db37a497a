"""The fingerprint of a profile: the same in every version and on every machine, and different when anything mapped is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from connector.profiles.fingerprints import Fingerprinter, fingerprinter
from connector.profiles.mapping import read_mapping

if TYPE_CHECKING:
    from pathlib import Path

KEY = bytes(range(32))
GOLDEN = [
    (0x0A4D5E261B0D1A86, 0xC81D9F64DC24B57F),
    (0x5AA86577DF150E73, 0xBF4F999667D2DE39),
    (0x42E4B9D31D450DBA, 0x15AF7654AAD6C034),
]
COLUMNS = ("id", "email", "other")
PRINTER = Fingerprinter(COLUMNS, 2**63 + 5, Cipher(algorithms.AES(KEY), modes.ECB()))
MAPPING = """\
key_identifier: email
keys: {external_id: id, email: email, phone: other}
consent: consent
"""

cells = st.none() | st.text(st.characters(exclude_characters="\x1e\x1f", exclude_categories=["Cs"]), max_size=6)
tables = st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=12)


def frame_of(rows: list[Any], columns: tuple[str, ...] = COLUMNS) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def test_a_fingerprint_is_what_other_programs_make_of_the_same_text() -> None:
    # Made with the xxhash and cryptography packages: XXH3-128 of the text from that seed, then AES-256 of those 16 bytes.
    found = PRINTER.of(frame_of([("17", "ada@x.example", None), ("18", "", "søren@x.example"), (None, "", None)]))
    assert found.schema == {"high": pl.UInt64, "low": pl.UInt64}
    assert found.rows() == GOLDEN


@given(rows=tables)
def test_profiles_have_one_fingerprint_when_they_are_the_same_but_for_how_a_blank_is_written(rows: list[Any]) -> None:
    prints = PRINTER.of(frame_of(rows)).rows()
    profiles = [tuple(cell or "" for cell in row) for row in rows]
    for mine, print_ in zip(profiles, prints, strict=True):
        assert [other == print_ for other in prints] == [other == mine for other in profiles]


@given(rows=tables, cut=st.integers(0, 12))
def test_a_fingerprint_does_not_know_its_neighbours(rows: list[Any], cut: int) -> None:
    whole = PRINTER.of(frame_of(rows))
    parts = [PRINTER.of(frame_of(part)) for part in (rows[:cut], rows[cut:])]
    assert pl.concat(parts).equals(whole)


def test_lists_tell_their_items_apart() -> None:
    lists = pl.DataFrame({"id": ["1"] * 4, "email": [["a", "b"], ["ab"], [], None], "other": [None] * 4})
    prints = PRINTER.of(lists).rows()
    assert len(set(prints)) == 3
    assert prints[2:] == PRINTER.of(frame_of([("1", "", "")] * 2)).rows()


CHANGES = {
    "another key": ({}, bytes(32), False),
    "a value that travels": ({}, KEY, True),
    "another identifier": ({"identifier: email": "identifier: phone"}, KEY, False),
    "another country": ({"consent: consent": "consent: consent\ndefault_country: US"}, KEY, False),
    "another use of the same columns": ({"email: email, phone: other": "email: other, phone: email"}, KEY, False),
}


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_whatever_changes_what_is_sent_changes_every_fingerprint(tmp_path: Path, change: str) -> None:
    words, key, value_based = CHANGES[change]
    frame = frame_of([("1", "a@x.example", None), ("2", None, "b@x.example")])
    assert not set(_prints(tmp_path, MAPPING, frame)) & set(_prints(tmp_path, _with(words), frame, key, value_based))


def test_consent_and_other_columns_change_no_fingerprint(tmp_path: Path) -> None:
    frame = frame_of([("1", "a@x.example", "", "yes")], (*COLUMNS, "consent"))
    without = _with({"consent: consent": ""})
    assert _prints(tmp_path, MAPPING, frame) == _prints(tmp_path, without, frame.drop("consent"))


def test_the_secrets_stand_in_no_representation(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MAPPING, encoding="utf-8")
    printer = fingerprinter(read_mapping(tmp_path / "m.yaml"), KEY, value_based=False)
    assert repr(printer) == f"Fingerprinter(columns={COLUMNS!r})"


def _with(words: dict[str, str]) -> str:
    text = MAPPING
    for old, new in words.items():
        assert old in text
        text = text.replace(old, new)
    return text


def _prints(
    folder: Path, mapping: str, frame: pl.DataFrame, key: bytes = KEY, value_based: bool = False
) -> list[tuple[Any, ...]]:
    path = folder / "m.yaml"
    path.write_text(mapping, encoding="utf-8")
    return fingerprinter(read_mapping(path), key, value_based=value_based).of(frame).rows()
