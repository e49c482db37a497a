"""The key of the ledger: made once, private, never replaced by a guess."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from connector.errors import ConfigError, SourceError, TransientError
from connector.ledger_key import make_ledger_key, read_ledger_key
from tests.full_disk import files_end_at

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "0123456789abcdef" * 4


@pytest.fixture
def key(tmp_path: Path) -> Path:
    (tmp_path / ".connector").mkdir()
    return tmp_path / ".connector" / "key"


def test_the_first_key_is_made_and_stays(tmp_path: Path) -> None:
    made = read_ledger_key(tmp_path, ledger_exists=False)
    path = tmp_path / ".connector" / "key"
    assert (len(made), bytes.fromhex(path.read_text(encoding="ascii"))) == (32, made)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [one.name for one in path.parent.iterdir()] == ["key"]
    for exists in (False, True):
        assert read_ledger_key(tmp_path, ledger_exists=exists) == made
    assert make_ledger_key(tmp_path) == made, "whoever was quicker made it"


def test_a_plan_makes_none(tmp_path: Path) -> None:
    passing = read_ledger_key(tmp_path, ledger_exists=False, make=False)
    assert (len(passing), list(tmp_path.iterdir())) == (32, [])
    assert read_ledger_key(tmp_path, ledger_exists=False, make=False) != passing


def test_a_lost_key_is_told_and_not_made_up(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as lost:
        read_ledger_key(tmp_path, ledger_exists=True)
    assert (lost.value.code, "--full" in str(lost.value.hint), list(tmp_path.iterdir())) == ("ledger.key", True, [])


@pytest.mark.parametrize(
    "text", ["", TEXT[:-1], TEXT + "0", TEXT[:-1] + "g", TEXT.upper(), "\xff" * 64, TEXT + "\n" + TEXT]
)
def test_a_damaged_key_is_told_and_put_aside_when_a_new_one_is_made(key: Path, text: str) -> None:
    key.write_text(text, encoding="latin-1")
    for exists in (False, True):
        with pytest.raises(SourceError) as damaged:
            read_ledger_key(key.parent.parent, ledger_exists=exists)
        assert damaged.value.code == "ledger.key"
        assert not text or text[:16] not in f"{damaged.value} {damaged.value.hint}"
    made = make_ledger_key(key.parent.parent)
    assert read_ledger_key(key.parent.parent, ledger_exists=True) == made
    assert (key.parent / "key.damaged").read_text(encoding="latin-1") == text
    assert sorted(one.name for one in key.parent.iterdir()) == ["key", "key.damaged"]


def test_blanks_around_a_key_are_nothing(key: Path) -> None:
    key.write_text(f" {TEXT}\n", encoding="ascii")
    assert read_ledger_key(key.parent.parent, ledger_exists=True) == bytes.fromhex(TEXT)


def test_a_key_that_others_may_read_is_its_owners_again(key: Path) -> None:
    for mode in (0o644, 0o660, 0o604):
        key.write_text(TEXT, encoding="ascii")
        key.chmod(mode)
        assert read_ledger_key(key.parent.parent, ledger_exists=True) == bytes.fromhex(TEXT)
        assert key.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("what", ["folder", "loop", "dangling"])
def test_a_key_that_cannot_be_read_is_no_lost_key(key: Path, what: str) -> None:
    """A mount that is not there yet, for example: a new key would make the ledger worthless."""
    if what == "folder":
        key.mkdir()
    else:
        key.symlink_to(key if what == "loop" else key.parent / "nowhere")
    root = key.parent.parent
    for ask in (
        lambda: read_ledger_key(root, ledger_exists=False),
        lambda: read_ledger_key(root, ledger_exists=True),
        lambda: make_ledger_key(root),
    ):
        with pytest.raises(SourceError) as unreadable:
            ask()
        assert unreadable.value.code == "ledger.unreadable"
        assert [one.name for one in key.parent.iterdir()] == ["key"]


def test_a_key_for_which_there_is_no_room_is_tried_again_later(key: Path) -> None:
    with files_end_at(8), pytest.raises(TransientError) as full:
        read_ledger_key(key.parent.parent, ledger_exists=False)
    assert (full.value.code, list(key.parent.iterdir())) == ("ledger.write", [])


@pytest.mark.parametrize("text", [TEXT[:-2], TEXT + "00", "z" * 64, "hunter2"])
def test_a_variable_that_is_no_key_is_named_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("CONNECTOR_KEY", text)
    with pytest.raises(ConfigError) as wrong:
        read_ledger_key(tmp_path, ledger_exists=True)
    assert (wrong.value.code, text in f"{wrong.value} {wrong.value.hint}") == ("key.format", False)


def test_the_variable_goes_before_the_file(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key.write_text("ab" * 32, encoding="ascii")
    for given, expected in ((TEXT.upper(), TEXT), (f" {TEXT} ", TEXT), ("", "ab" * 32), ("  ", "ab" * 32)):
        monkeypatch.setenv("CONNECTOR_KEY", given)
        assert read_ledger_key(key.parent.parent, ledger_exists=True) == bytes.fromhex(expected)


MAKER = """
import sys
from pathlib import Path
from connector.ledger_key import read_ledger_key
sys.stdin.readline()
print(read_ledger_key(Path(sys.argv[1]), ledger_exists=False).hex())
"""


def test_processes_that_make_the_first_key_at_once_have_the_same(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAKER, str(tmp_path)]
    makers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("go\n")
        maker.stdin.flush()
    keys = {maker.communicate(timeout=60)[0].strip() for maker in makers}
    assert keys == {(tmp_path / ".connector" / "key").read_text(encoding="ascii")}
