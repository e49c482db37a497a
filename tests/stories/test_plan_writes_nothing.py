"""A plan only looks: no file, no row of the state database and no member changes, and the export then does what it said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tests.ledger_world import flip
from tests.relay import relay_to
from tests.sandbox_control import state_of, uploads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Any]

CONFIG = """\
segments:
  people: {from: people.csv, mapping: crm, to: [demo]}
  others: {from: others.csv, mapping: crm, to: [demo]}
suppress: [{from: out.csv, mapping: crm}]
guards: {min_profiles: 50, max_shrink: 0.3}
"""
MAPPING = """\
key_identifier: email
default_country: US
keys: {external_id: id, email: [email, work_email], phone: phone, first_name: first, birth_date: born}
consent: consent
"""
HEADER = "id,email,work_email,phone,first,born,consent\n"


def line(n: int, version: int = 0, *, phone: bool = True) -> str:
    """Every reason to be skipped, and every shape of a profile, is there."""
    email = "" if n % 37 == 5 else f"Person{n // 9 * 9 if n % 9 == 1 else n}.{version}@Example.com"
    work = f"work{n}@firm.example" if email and n % 13 == 2 else ""
    digits = f"(212) 555-{n % 900:04}" if phone and n % 4 else ""
    return (
        f"c{n},{email},{work},{digits},Ann{n % 5},19{50 + n % 50}-02-{n % 28 + 1:02},{'no' if n % 31 == 7 else 'yes'}\n"
    )


def write(folder: Path, lines: list[str], name: str = "people") -> None:
    (folder / f"{name}.csv").write_text(HEADER + "".join(lines), encoding="utf-8")


FIRST = [*(line(n) for n in range(400)), line(8), line(9)]
LATER = [*(line(n, version=int(n % 50 == 0)) for n in range(20, 400)), line(8), *(line(n) for n in range(500, 530))]
FEW = [line(n) for n in range(30)]
NO_PHONES = [line(n, phone=False) for n in range(400)]
ON_SQLITE = pytest.mark.parametrize("state_url", ["sqlite"], indirect=True)


@dataclass
class Place:
    """A workspace, its state database, and the sandbox."""

    folder: Path
    state_url: str
    base_url: str

    def look(self) -> tuple[Any, ...]:
        """Everything that could have changed: rows, files with the times of their last change, members."""
        engine = sa.create_engine(self.state_url)
        metadata = sa.MetaData()
        with engine.connect() as connection:
            metadata.reflect(connection)
            rows = {
                name: sorted(map(repr, connection.execute(sa.select(table)).all()))
                for name, table in metadata.tables.items()
            }
        engine.dispose()
        assert {"run", "audit", "batch", "access_check", "audience_lock", "ledger_part"} <= set(rows)
        files = {
            str(path.relative_to(self.folder)): (path.read_bytes(), path.stat().st_mtime_ns)
            if path.is_file()
            else path.stat().st_mode
            for path in self.folder.rglob("*")
        }
        state = state_of(self.base_url)
        return rows, files, state["audiences"], state["sessions"], uploads(self.base_url)

    def forget_access(self) -> None:
        """The gate has nothing in memory, so that everything is asked, and could be remembered."""
        engine = sa.create_engine(self.state_url)
        with engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM access_check"))
        engine.dispose()


@pytest.fixture
def place(
    workspace: Path,
    sandbox: dict[str, Any],
    state_url: str,
    monkeypatch: pytest.MonkeyPatch,
    add_demo: Callable[..., None],
) -> Place:
    monkeypatch.setenv("CONNECTOR_STATE", state_url)
    (workspace / "connector.yaml").write_text(CONFIG, encoding="utf-8")
    (workspace / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
    (workspace / "out.csv").write_text("email\nperson17.0@example.com\nwork28@firm.example\n", encoding="utf-8")
    write(workspace, FIRST)
    write(workspace, [line(n) for n in range(300, 460)], "others")
    add_demo()
    return Place(workspace, state_url, sandbox["base_url"])


def planned(place: Place, run: Run, *flags: str) -> Any:
    """Plan, and see that nothing changed."""
    place.forget_access()
    before = place.look()
    verb = ("export", "segment", "people", "--dry-run", *flags) if flags else ("plan", "segment", "people")
    said = run(*verb, "--json")
    for was, now in zip(before, place.look(), strict=True):
        assert now == was
    return said


def exported(run: Run, *flags: str) -> dict[str, Any]:
    done = run("export", "segment", "people", *flags, "--json")
    assert done.exit_code == 0, done.out
    return dict(done.envelope["data"])


def the_same(plan: dict[str, Any], done: dict[str, Any]) -> None:
    """The export did just what the plan said."""
    assert done["profiles"] == plan["profiles"]
    for key in ("extra", "to_add", "unchanged", "to_remove"):
        assert done["rows"][key] == plan["rows"][key], key
    assert (done["rows"]["added"], done["rows"]["removed"]) == (plan["rows"]["to_add"], plan["rows"]["to_remove"])
    assert (plan["rows"]["added"], plan["rows"]["removed"]) == (0, 0)
    assert done["cells"] == plan["cells"]
    assert done["batches"]["sent"] == plan["plan"]["calls"]
    # A request's envelope holds a session's number, whose length nobody knows before.
    assert done["batches"]["bytes"] == pytest.approx(plan["plan"]["bytes"], abs=100 * plan["plan"]["calls"])


def test_before_the_first_export(place: Place, run: Run) -> None:
    said = planned(place, run)
    assert said.exit_code == 0, said.out
    plan = said.envelope["data"]
    assert all(plan["profiles"]["skipped"][why] for why in ("no_identifier", "no_consent", "suppressed", "duplicate"))
    assert plan["rows"]["to_add"] > 300
    the_same(plan, exported(run))


def test_before_a_refresh(place: Place, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    exported(run)
    assert run("export", "segment", "others").exit_code == 0
    write(place.folder, LATER)
    with relay_to(place.base_url) as relay, monkeypatch.context() as through:
        through.setenv("CONNECTOR_GRAPH_URL", relay.base_url)
        said = planned(place, run)
    assert said.exit_code == 0, said.out
    assert {request.method for request in relay.heard} == {"GET"}
    rows = said.envelope["data"]["rows"]
    assert min(rows["to_add"], rows["to_remove"], rows["unchanged"]) > 10
    the_same(said.envelope["data"], exported(run))
    said = planned(place, run)
    assert (said.envelope["data"]["plan"]["calls"], said.envelope["data"]["plan"]["bytes"]) == (0, 0)
    the_same(said.envelope["data"], exported(run))


@ON_SQLITE
@pytest.mark.parametrize("flags", [("--mode", "add"), ("--mode", "replace"), ("--mode", "remove"), ("--full",)])
def test_before_a_run_in_another_mode(flags: tuple[str, ...], place: Place, run: Run) -> None:
    exported(run)
    write(place.folder, LATER)
    said = planned(place, run, *flags)
    assert said.exit_code == 0, said.out
    the_same(said.envelope["data"], exported(run, *flags))


@ON_SQLITE
@pytest.mark.parametrize(
    ("source", "guard"),
    [(LATER[:200], "guard.max_shrink"), (FEW, "guard.min_profiles"), (NO_PHONES, "guard.coverage")],
    ids=["max_shrink", "min_profiles", "coverage"],
)
def test_where_a_guard_would_stop(source: list[str], guard: str, place: Place, run: Run) -> None:
    exported(run)
    write(place.folder, source)
    allowed = planned(place, run, "--allow-shrink")
    assert allowed.exit_code == 0
    stopped = planned(place, run)
    assert (stopped.exit_code, stopped.envelope["error"]["code"]) == (8, guard)
    plan = stopped.envelope["data"]
    assert any("an export would stop here" in warning for warning in plan["warnings"])
    the_same(plan, exported(run, "--allow-shrink"))


@ON_SQLITE
def test_on_a_damaged_ledger(place: Place, run: Run) -> None:
    exported(run)
    part = next((place.folder / ".connector" / "ledger").rglob("*.parquet"))
    flip(0.5)(part)
    said = planned(place, run)
    assert (said.exit_code, said.envelope["error"]["code"]) == (3, "ledger.damaged")
    assert "--full" in said.envelope["error"]["hint"]
    again = planned(place, run, "--full")
    the_same(again.envelope["data"], exported(run, "--full"))


@ON_SQLITE
def test_without_a_token_that_may(
    place: Place, run: Run, sandbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTOR_TOKEN", sandbox["tokens"]["no_permission"])
    assert planned(place, run).exit_code == 4
