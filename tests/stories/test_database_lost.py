"""The state database goes away in the middle of a run: it ends with exit 6 or goes on, and the next run ends with just the right members.

Between connector and a real PostgreSQL stands a relay that is cut at a chosen message, before it arrives or before its answer does.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tests.killing import Ended, export_in_process
from tests.sandbox_control import held
from tests.versions import AFTER, BEFORE, MAPPING, People, rightly, write_people

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CONFIG = """\
segments:
  people: {from: people.csv, mapping: crm, to: [demo]}
guards: {min_profiles: 0, max_shrink: 1}
"""


@dataclass
class Line:
    """A line to the database. ``cut_at``: the number of the client's message that it is cut at."""

    upstream: str
    port: int = 0
    messages: int = 0
    cut_at: int | None = None
    answer_lost: bool = False  # the message arrives, and the answer to it does not
    comes_back: bool = True  # only the one connection is cut; otherwise all, and every later one
    cuts: int = 0
    down: bool = False
    _open: list[socket.socket] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, cut_at: int | None, *, answer_lost: bool = False, comes_back: bool = True) -> None:
        with self._lock:
            self.messages, self.cuts, self.down = 0, 0, False
            self.cut_at, self.answer_lost, self.comes_back = cut_at, answer_lost, comes_back

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            if self.down:
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.upstream)
            lost = threading.Event()
            with self._lock:
                self._open += [client, server]
            threading.Thread(target=self._ask, args=(client, server, lost), daemon=True).start()
            threading.Thread(target=self._answer, args=(client, server, lost), daemon=True).start()

    def hang_up(self, *ends: socket.socket) -> None:
        for end in ends or tuple(self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _ask(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while message := client.recv(65_536):
                with self._lock:
                    self.messages += 1
                    cut = self.messages == self.cut_at
                    self.cuts += cut
                    self.down |= cut and not self.comes_back
                if cut and self.answer_lost:
                    lost.set()
                elif cut:
                    break
                server.sendall(message)
        self._end(client, server)

    def _answer(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while (answer := server.recv(65_536)) and not lost.is_set():
                client.sendall(answer)
        self._end(client, server)

    def _end(self, client: socket.socket, server: socket.socket) -> None:
        if self.down:
            self.hang_up()
        self.hang_up(client, server)


@dataclass
class Place:
    """A workspace whose state is at the other end of the line."""

    folder: Path
    base_url: str
    line: Line
    state_url: str

    def write(self, people: People) -> None:
        write_people(self.folder / "people.csv", people)

    def export(self) -> Ended:
        return export_in_process(self.folder, "people", allow_shrink=True)

    def check(self, people: People) -> None:
        """A whole run now ends with just these members, has counted each request once, and leaves nothing open."""
        self.line.arm(None)
        whole = self.export()
        assert whole.code == 0, whole.said
        rows = whole.said["rows"]
        assert (rows["left"], rows["left_to_remove"], rows["added"] + rows["unchanged"]) == (0, 0, len(people))
        assert held(self.base_url) == rightly(people.items())
        assert self.ask("SELECT COUNT(*) FROM audience_lock") == 0
        assert self.ask("SELECT COUNT(*) FROM run WHERE status = 'running'") == 0
        run_id = whole.said["run"]
        sent = self.ask(f"SELECT COALESCE(SUM(rows), 0) FROM batch WHERE run_id = '{run_id}'")
        assert sent == rows["added"] + rows["removed"]

    def ask(self, question: str) -> int:
        engine = sa.create_engine(self.state_url)
        with engine.connect() as connection:
            answer = int(connection.execute(sa.text(question)).scalar_one())
        engine.dispose()
        return answer


@pytest.fixture
def place(
    workspace: Path,
    sandbox: dict[str, Any],
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    add_demo: Callable[..., None],
) -> Iterator[Place]:
    (workspace / "connector.yaml").write_text(CONFIG, encoding="utf-8")
    (workspace / "mappings" / "crm.yaml").write_text(MAPPING, encoding="utf-8")
    url = sa.make_url(postgres_url)
    line = Line(f"{url.query['host']}/.s.PGSQL.5432")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line.port = listener.getsockname()[1]
        serving = threading.Thread(target=line.serve, args=(listener,))
        serving.start()
        through = url.set(host="127.0.0.1", port=line.port, query={"sslmode": "disable", "gssencmode": "disable"})
        monkeypatch.setenv("CONNECTOR_STATE", through.render_as_string(hide_password=False))
        add_demo()
        try:
            yield Place(workspace, sandbox["base_url"], line, postgres_url)
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            serving.join()
            line.hang_up()


WAYS: dict[str, dict[str, bool]] = {
    "a message does not arrive": {},
    "an answer does not arrive": {"answer_lost": True},
    "it stays away": {"comes_back": False},
    "it stays away after an answer": {"comes_back": False, "answer_lost": True},
}


def sweep(place: Place, every: int, *ways: dict[str, bool]) -> list[int]:
    """Cut refreshes there and back at every so-manieth message, until a run is over before that; gives their exit codes."""
    codes: list[int] = []
    for number, at in enumerate(range(2, 2_000, every)):
        people = AFTER if number % 2 else BEFORE
        place.write(people)
        place.line.arm(at, **ways[number % len(ways)])
        ended = place.export()
        assert (ended.code, ended.said.get("code")) in {(0, None), (6, "state.unavailable")}, (at, ended)
        if not place.line.cuts:
            return codes
        codes.append(ended.code)
        place.check(people)
    raise AssertionError("no run was over before it was cut")


def test_a_database_that_goes_away_at_any_message_is_named_and_costs_nobody_anything(place: Place) -> None:
    codes = sweep(place, 21, *WAYS.values())
    assert codes.count(6) >= 5


@pytest.mark.stress
@pytest.mark.parametrize("way", WAYS)
def test_a_database_that_goes_away_at_every_third_message(way: str, place: Place) -> None:
    codes = sweep(place, 3, WAYS[way])
    assert codes.count(6) >= 20


def test_the_command_line_says_what_is_away_and_nothing_else(place: Place, run_process: Callable[..., Any]) -> None:
    place.write(BEFORE)
    place.line.arm(90, comes_back=False)
    ended = run_process("export", "segment", "people", "--json")
    assert place.line.cuts == 1
    assert (ended.exit_code, ended.envelope["status"]) == (6, "failed")
    error = ended.envelope["error"]
    assert error["code"] == "state.unavailable"
    assert error["message"] == "the state database (postgresql) did not answer: OperationalError"
    assert error["hint"].endswith("then run the same command again.")
    assert f"port {place.line.port}" not in ended.out + ended.err
    assert f":{place.line.port}" not in ended.out + ended.err
    assert "Traceback" not in ended.err
    place.check(BEFORE)
