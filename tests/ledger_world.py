"""A workspace to damage: a segment exported twice to the sandbox, its ledger, key and state database, and copies of them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from connector.audiences.ledger_book import LedgerBook
from connector.state import State
from tests.by_hand import digest_of, sha
from tests.sandbox_control import held, state_of, uploads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FIRST = dict.fromkeys(range(8), "v0")
SECOND = dict.fromkeys(range(1, 8), "v0") | {8: "v0", 1: "v1"}  # 0 left, 8 joined, 1 has another e-mail
THIRD = {n: email for n, email in SECOND.items() if n not in {2, 8}}  # two more left
People = dict[int, str]


def members_of(people: People) -> list[dict[str, str]]:
    return [
        {"EXTERN_ID": str(n), "EMAIL": sha(f"p{n}{version}@x.example"), "FN": sha(f"name{n}")}
        for n, version in people.items()
    ]


@dataclass
class World:
    """A workspace whose segment was exported twice: its ledger has rows, people on their way out, and people who are out."""

    folder: Path
    base_url: str
    run: Callable[..., Any]
    saved: list[Path] = field(default_factory=list)

    def write(self, people: People, name: str = "people") -> None:
        lines = [f"{n},p{n}{version}@x.example,name{n},yes\n" for n, version in people.items()]
        (self.folder / f"{name}.csv").write_text("id,email,name,ok\n" + "".join(lines), encoding="utf-8")

    def export(self, *words: str, name: str = "people") -> dict[str, Any]:
        done = self.run("export", "segment", name, *words, "--json")
        assert done.exit_code == 0, done.out + done.err
        return dict(done.envelope["data"])

    def told(self, *words: str, command: str = "export", name: str = "people", code: int = 3) -> dict[str, Any]:
        """The command is refused: nothing was sent, and the ledger is as it was."""
        before = self.uploads(), self.held(), self.lying()
        done = self.run(command, "segment", name, *words, "--json")
        assert done.exit_code == code, done.out + done.err
        assert (self.uploads(), self.held(), self.lying()) == before
        return dict(done.envelope["error"])

    def state(self) -> dict[str, Any]:
        return state_of(self.base_url)

    def uploads(self) -> int:
        return uploads(self.base_url)

    def held(self) -> tuple[int, str]:
        return held(self.base_url)

    def check(self, *people: People) -> None:
        rows = [row for some in people for row in members_of(some)]
        assert self.held() == (len(rows), digest_of(rows))

    def quiet(self, name: str = "people") -> dict[str, Any]:
        """The next run has nothing to send."""
        before, report = self.uploads(), self.export(name=name)
        assert (report["rows"]["to_add"], report["rows"]["to_remove"], self.uploads()) == (0, 0, before)
        return report

    @property
    def own(self) -> Path:
        return self.folder / ".connector"

    def files(self, segment: str = "people") -> list[Path]:
        return sorted((self.own / "ledger").glob(f"*/{segment}/*.parquet"))

    def lying(self) -> dict[str, bytes]:
        """Everything in the ledger's folder."""
        found = (path for path in (self.own / "ledger").rglob("*") if path.is_file())
        return {str(path.relative_to(self.own)): path.read_bytes() for path in found}

    def of_kind(self, kind: str) -> Path:
        """The first ledger file of a kind, as the book has it."""
        with State.open(f"sqlite:///{self.own}/state.db") as state:
            (record,) = [s for s in LedgerBook(state).slices() if s.segment == "people"]
        number = next(part.part for part in record.parts if part.kind == kind)
        return next(file for file in self.files() if file.name.startswith(f"{number:06d}"))

    def save(self) -> Path:
        copy = self.folder / f"saved{len(self.saved)}"
        shutil.copytree(self.own, copy)
        self.saved.append(copy)
        return copy

    def bring_back(self, saved: Path, *, only: str = "") -> None:
        """Put a copy of .connector back, whole or one thing in it; ``state`` is the database with all its files."""
        whole = {path.name for path in [*saved.iterdir(), *self.own.iterdir()]}
        names = whole if not only else {name for name in whole if name.startswith(only)}
        for name in names:
            here, there = self.own / name, saved / name
            if here.is_dir():
                shutil.rmtree(here)
            else:
                here.unlink(missing_ok=True)
            if there.is_dir():
                shutil.copytree(there, here)
            elif there.exists():
                shutil.copy2(there, here)


def flip(at: float) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[int(at * (len(content) - 1))] ^= 0x01
        path.write_bytes(content)

    return flip
