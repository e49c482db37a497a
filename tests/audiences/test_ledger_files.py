"""Ledger files on a folder and in an object store: whole, private, checked, and each damage named."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from connector.audiences.ledger_files import LedgerFiles, open_ledger_files
from connector.errors import ConfigError, ConnectorError, SourceError, TransientError
from tests.full_disk import files_end_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = pl.DataFrame({"high": [1, 2, 2**64 - 1], "low": [3, 4, 5]}, schema={"high": pl.UInt64, "low": pl.UInt64})
NAME = "12/a%20segment/000001-run.parquet"


@pytest.fixture(params=["folder", "store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder of this machine, and an object store (whose files lie in one, too)."""
    (tmp_path / "ledger").mkdir()
    return f"file://{tmp_path}/ledger" if request.param == "store" else str(tmp_path / "ledger")


@pytest.fixture
def files(place: str) -> LedgerFiles:
    return open_ledger_files(place)


@pytest.fixture
def lying(tmp_path: Path) -> Callable[[str], Path]:
    """Where a file lies."""
    return lambda name: tmp_path / "ledger" / name


def refused(ask: Callable[[], Any]) -> ConnectorError:
    with pytest.raises(ConnectorError) as raised:
        ask()
    assert raised.value.__cause__ is None
    assert raised.value.hint
    return raised.value


def test_what_was_written_is_read_whole_or_in_some_columns(files: LedgerFiles) -> None:
    checksum = files.write(NAME, ROWS)
    assert files.read(NAME, checksum).equals(ROWS)
    assert files.read(NAME, checksum, ("low", "never")).equals(ROWS.select("low"))
    assert files.read(NAME, checksum, ("never",)).width == 0


def test_names_and_folders_are_listed_and_removed(files: LedgerFiles, place: str) -> None:
    assert (files.names("12/a%20segment"), files.folders("12")) == ([], [])
    for name in (NAME, "12/a%20segment/000002-run.parquet", "12/b/000001-run.parquet"):
        files.write(name, ROWS)
    assert files.names("12/a%20segment") == ["000001-run.parquet", "000002-run.parquet"]
    assert files.folders("12") == ["a%20segment", "b"]
    assert files.names("12") == [] or "://" in place, "a folder is no file"
    files.remove(NAME)
    files.remove(NAME)
    assert files.names("12/a%20segment", hidden=True) == ["000002-run.parquet"]


@pytest.mark.parametrize("column", [None, "high"])
def test_every_single_flipped_byte_is_found(tmp_path: Path, column: str | None) -> None:
    writer = open_ledger_files(str(tmp_path))
    checksum = writer.write(NAME, ROWS)
    path = tmp_path / NAME
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x01]) + whole[place + 1 :])
        error = refused(lambda: open_ledger_files(str(tmp_path)).read(NAME, checksum, column and (column,)))
        assert (error.code, NAME in error.message) == ("ledger.damaged", True), place
    assert "--full" in str(error.hint)
    assert "--mode replace" in str(error.hint)


@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_a_file_cut_short_is_damaged(files: LedgerFiles, place: str, lying: Callable[[str], Path], length: int) -> None:
    checksum = files.write(NAME, ROWS)
    lying(NAME).write_bytes(lying(NAME).read_bytes()[:length])
    assert refused(lambda: files.read(NAME, checksum)).code == "ledger.damaged"
    assert files.survey(NAME) is None


def test_a_missing_file_is_named_and_is_not_an_empty_one(files: LedgerFiles, lying: Callable[[str], Path]) -> None:
    checksum = files.write(NAME, ROWS)
    lying(NAME).unlink()
    error = refused(lambda: files.read(NAME, checksum))
    assert isinstance(error, SourceError)
    assert (error.code, NAME in error.message) == ("ledger.missing", True)
    assert files.survey(NAME) is None


def test_a_file_damaged_after_its_checksum_was_compared_does_not_crash(
    files: LedgerFiles, lying: Callable[[str], Path]
) -> None:
    checksum = files.write(NAME, ROWS)
    files.read(NAME, checksum)
    for content in (b"", b"PAR1", lying(NAME).read_bytes()[: -len(ROWS)]):
        lying(NAME).write_bytes(content)
        assert refused(lambda: files.read(NAME, checksum, ("high",))).code == "ledger.damaged"


def test_a_survey_tells_what_a_file_is(files: LedgerFiles) -> None:
    checksum = files.write(NAME, ROWS)
    seen = files.survey(NAME)
    assert seen is not None
    assert (seen.checksum, seen.rows, seen.columns) == (checksum, 3, ("high", "low"))


def test_files_are_for_their_owner_only_whatever_the_mask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        open_ledger_files(str(tmp_path / "deep" / "ledger")).write(NAME, ROWS)
    finally:
        os.umask(before)
    path = tmp_path / "deep" / "ledger" / NAME
    assert path.stat().st_mode & 0o777 == 0o600
    for folder in list(path.parents)[:4]:
        assert folder.stat().st_mode & 0o777 == 0o700, folder


def test_a_disk_that_is_full_leaves_the_old_file_and_no_half_one(tmp_path: Path) -> None:
    files = open_ledger_files(str(tmp_path))
    checksum = files.write(NAME, ROWS)
    with files_end_at(64):
        error = refused(lambda: files.write(NAME, ROWS.vstack(ROWS)))
    assert isinstance(error, TransientError)
    assert (error.code, os.strerror(errno.EFBIG) in error.message) == ("ledger.write", True)
    assert files.read(NAME, checksum).equals(ROWS)
    assert files.names("12/a%20segment", hidden=True) == ["000001-run.parquet"]


def test_a_place_that_cannot_be_read_is_neither_missing_nor_empty(tmp_path: Path) -> None:
    files = open_ledger_files(str(tmp_path))
    (tmp_path / NAME).mkdir(parents=True)  # nobody can read it as a file, whoever runs this
    (tmp_path / "12" / "file").touch()
    asks: list[Callable[[], object]] = [
        lambda: files.read(NAME, "0" * 64),
        lambda: files.survey(NAME),
        lambda: files.names("12/file"),
        lambda: files.folders("12/file"),
    ]
    for ask in asks:
        assert refused(ask).code == "ledger.unreadable"
    assert refused(lambda: files.write("12/file/x.parquet", ROWS)).code == "ledger.write"
    assert refused(lambda: files.remove(NAME)).code == "ledger.write"


def test_an_unfinished_file_is_hidden_until_asked_for(tmp_path: Path) -> None:
    files = open_ledger_files(str(tmp_path))
    files.write(NAME, ROWS)
    (tmp_path / NAME).with_name(".000002-run.parquet.77").touch()
    assert files.names("12/a%20segment") == ["000001-run.parquet"]
    assert files.names("12/a%20segment", hidden=True) == [".000002-run.parquet.77", "000001-run.parquet"]


def test_a_store_that_refuses_is_told_without_what_it_said(tmp_path: Path) -> None:
    """Its answers may hold keys and signed URLs."""
    (tmp_path / "ledger").mkdir()
    files = open_ledger_files(f"file://{tmp_path}/ledger")
    (tmp_path / "ledger" / "12").touch()
    asks: list[tuple[str, Callable[[], object]]] = [
        ("ledger.write", lambda: files.write(NAME, ROWS)),
        ("ledger.unreadable", lambda: files.read(NAME, "0" * 64)),
        ("ledger.unreadable", lambda: files.names("12/a%20segment")),
    ]
    for code, ask in asks:
        error = refused(ask)
        assert (type(error), error.code) == (TransientError, code)
        assert str(tmp_path) not in error.message


@pytest.mark.parametrize("url", ["nosuch://bucket/ledger", "s3://"])
def test_a_url_that_no_store_understands_is_a_mistake_of_configuration(url: str) -> None:
    error = refused(lambda: open_ledger_files(url))
    assert (type(error), error.code) == (ConfigError, "ledger.url")
    assert "connector.yaml" in str(error.hint)


def test_without_the_library_of_stores_the_way_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    error = refused(lambda: open_ledger_files("s3://bucket/ledger"))
    assert (error.code, "pip install" in str(error.hint)) == ("ledger.extra", True)
