"""Stored tokens: encrypted, each for its destination only, and nothing without a key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import keyring
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked
from pydantic import SecretStr

from connector.access.connection import token_of
from connector.access.token_store import drop_token, find_token, keep_token, stored_token, token_key
from connector.errors import ConfigError
from connector.schema import TOKENS
from connector.state import Destination, State

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "EAAcanarytoken0123456789abcdef"

pytestmark = pytest.mark.usefixtures("no_keyring")


class Memory(KeyringBackend):
    """A keyring that forgets when the test ends."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


class Locked(Memory):
    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked(f"{service}, {username}: locked")


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    made = Fernet.generate_key().decode()
    monkeypatch.setenv("CONNECTOR_TOKEN_KEY", made)
    return made


def test_a_token_comes_back_as_it_was_stored_and_can_be_replaced_and_forgotten(state_url: str, key: str):
    ends = datetime(2027, 1, 20, 12, tzinfo=UTC)
    with State.open(state_url) as state:
        assert find_token(state, "demo") is None
        keep_token(state, "demo", SecretStr("first"))
        keep_token(state, "demo", SecretStr(TOKEN), expires_at=ends, scopes=("ads_management",), user_id="5")
    with State.open(state_url) as state:
        found, known = find_token(state, "demo"), stored_token(state, "demo")
        assert found is not None
        assert found.get_secret_value() == TOKEN
        assert known is not None
        assert (known.expires_at, known.scopes, known.user_id) == (ends, ("ads_management",), "5")
        assert drop_token(state, "demo")
        assert not drop_token(state, "demo")
        assert (find_token(state, "demo"), stored_token(state, "demo")) == (None, None)


def test_neither_the_database_nor_any_repr_holds_the_token_or_the_key(tmp_path: Path, key: str):
    url = f"sqlite:///{tmp_path}/state.db"
    with State.open(url) as state:
        keep_token(state, "demo", SecretStr(TOKEN))
        shown = f"{find_token(state, 'demo')!r} {stored_token(state, 'demo')!r}"
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert TOKEN.encode() not in written
    assert key.encode() not in written
    assert TOKEN not in shown


def test_a_row_moved_to_another_destination_does_not_open(state_url: str, key: str):
    with State.open(state_url) as state:
        keep_token(state, "theirs", SecretStr(TOKEN))
        with state.session() as connection:
            connection.execute(sa.update(TOKENS).values(destination="mine"))
        with pytest.raises(ConfigError) as refused:
            find_token(state, "mine")
    assert refused.value.code == "token.other_key"


def test_another_key_does_not_open_and_the_message_says_what_to_do(
    state_url: str, key: str, monkeypatch: pytest.MonkeyPatch
):
    with State.open(state_url) as state:
        keep_token(state, "demo", SecretStr(TOKEN))
        monkeypatch.setenv("CONNECTOR_TOKEN_KEY", Fernet.generate_key().decode())
        with pytest.raises(ConfigError, match="does not open") as refused:
            find_token(state, "demo")
    assert "connector connect demo" in str(refused.value.hint)
    assert TOKEN not in f"{refused.value} {refused.value.hint}"


def test_keys_can_be_changed_one_after_the_other(state_url: str, key: str, monkeypatch: pytest.MonkeyPatch):
    with State.open(state_url) as state:
        keep_token(state, "old", SecretStr(TOKEN))
        new = Fernet.generate_key().decode()
        monkeypatch.setenv("CONNECTOR_TOKEN_KEY", f"{new},{key}")
        assert find_token(state, "old") is not None
        keep_token(state, "new", SecretStr(TOKEN))
        monkeypatch.setenv("CONNECTOR_TOKEN_KEY", new)
        assert find_token(state, "new") is not None


def test_a_key_that_is_none_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CONNECTOR_TOKEN_KEY", "not-a-key-at-all")
    with pytest.raises(ConfigError) as refused:
        token_key(make=True)
    assert refused.value.code == "token.key_format"
    assert "not-a-key" not in f"{refused.value} {refused.value.hint}"


def test_without_key_and_keyring_nothing_is_stored_and_the_hint_makes_a_key(state_url: str):
    with State.open(state_url) as state:
        with pytest.raises(ConfigError) as refused:
            keep_token(state, "demo", SecretStr(TOKEN))
        assert stored_token(state, "demo") is None
    assert refused.value.code == "token.no_key"
    assert "openssl rand -base64 32" in str(refused.value.hint)


def test_the_systems_keyring_keeps_a_key_of_its_own(state_url: str):
    system = Memory()
    keyring.set_keyring(system)
    with State.open(state_url) as state:
        with pytest.raises(ConfigError):
            token_key(make=False)
        keep_token(state, "demo", SecretStr(TOKEN))
        assert find_token(state, "demo") is not None
    assert len(system.kept) == 1


def test_a_locked_keyring_is_none():
    keyring.set_keyring(Locked())
    with pytest.raises(ConfigError) as refused:
        token_key(make=True)
    assert refused.value.code == "token.no_key"


def test_a_keyring_that_writes_plain_files_is_none():
    class Plain(Memory):
        __module__ = "keyrings.alt.file"

    keyring.set_keyring(Plain())
    with pytest.raises(ConfigError) as refused:
        token_key(make=True)
    assert refused.value.code == "token.no_key"


def test_the_variable_that_the_hint_makes_is_a_key(monkeypatch: pytest.MonkeyPatch):
    import base64
    import os

    monkeypatch.setenv("CONNECTOR_TOKEN_KEY", base64.b64encode(os.urandom(32)).decode().translate({43: 45, 47: 95}))
    assert token_key(make=False).decrypt(token_key(make=False).encrypt(b"x")) == b"x"


# where a token is looked for


def test_a_stored_token_beats_the_common_variable_but_not_one_that_the_destination_names(
    state_url: str, key: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CONNECTOR_TOKEN", "common")
    monkeypatch.setenv("OWN", "own")
    common, own = Destination("demo", "act_1"), Destination("demo", "act_1", token_env="OWN")
    with State.open(state_url) as state:
        assert token_of(common, state).get_secret_value() == "common"
        keep_token(state, "demo", SecretStr("stored"))
        assert token_of(common, state).get_secret_value() == "stored"
        assert token_of(own, state).get_secret_value() == "own"
        monkeypatch.delenv("OWN")
        with pytest.raises(ConfigError, match="OWN holds no token"):
            token_of(own, state)
