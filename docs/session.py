"""A stranger's terminal: commands typed one after the other in a folder, against a sandbox, and what they print.

What differs from run to run (ids, times, rates, addresses) is replaced by fixed text, so that pages stay as they are.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from connector.cli.main import main
from connector.cli.start import _say as say
from connector.sandbox.server import running

if TYPE_CHECKING:
    from collections.abc import Iterator

PORT = 8123
ENVIRONMENT = {"NO_COLOR": "1", "COLUMNS": "110", "CONNECTOR_ACTOR": "mary"}
STEADY = (
    (r"\d{8}-\d{6}-[0-9a-f]{6}", "20260630-061500-a1b2c3"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", "2026-06-30T06:15:00"),
    (r"(06:15:00)\.\d{6}", r"\g<1>.000000"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d\b", "2026-06-30 06:15"),
    (r"127\.0\.0\.1:\d+", f"127.0.0.1:{PORT}"),
    (r"\d+\.\d s, [\d,]+ profiles a second", "… s, … profiles a second"),
    (r'"seconds": [\d.]+', '"seconds": 0.5'),
    (r'"profiles_per_second": \d+', '"profiles_per_second": 6'),
    (r"\b[1-9]\d{0,2} B\b|\b\d\.\d kB\b", "1.0 kB"),
    (r'"bytes": \d+', '"bytes": 1000'),
    (r"(trace id: )\w+", r"\g<1>A1b2C3d4"),
    (r"(head )[0-9a-f]{64}", r"\g<1>" + "5e" * 32),
)


class Session:
    """A folder, a sandbox and an environment of its own for as long as the ``with`` block lasts.

    Args:
        folder: Where commands are typed; a new, empty one without it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._open = contextlib.ExitStack()
        self._folder = folder
        self.sandbox: dict[str, Any] = {}

    def __enter__(self) -> Self:
        before = Path.cwd()
        self._open.callback(os.chdir, before)
        self._open.enter_context(_environment())
        folder = self._folder or self._open.enter_context(tempfile.TemporaryDirectory(prefix="connector-docs-"))
        self._home = str(Path(folder).resolve())
        os.chdir(self._home)
        self.sandbox = self._open.enter_context(running())
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @classmethod
    def begin(cls) -> Self:
        """Open one for a page whose blocks follow each other; the last block calls ``close``."""
        return cls().__enter__()

    def close(self) -> None:
        """Stop the sandbox, remove the folder, bring back the environment."""
        self._open.close()

    def sandbox_says(self) -> str:
        """Give what ``connector start sandbox`` prints when it is up."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            say(self.sandbox)
        return f"```console\n$ connector start sandbox --port {PORT}\n{self._steady(said.getvalue())}\n```"

    def shows(self, name: str) -> str:
        """Give a file of the folder as a fenced block."""
        kind = Path(name).suffix.removeprefix(".")
        return f"```{kind}\n{Path(name).read_text(encoding='utf-8').rstrip()}\n```"

    def connect(self) -> None:
        """Do what ``start sandbox`` says to do in the other terminal: name its address and token."""
        os.environ["CONNECTOR_GRAPH_URL"] = str(self.sandbox["base_url"])
        os.environ["CONNECTOR_TOKEN"] = str(self.sandbox["token"])

    def run(self, line: str, *, stdin: str = "") -> str:
        """Type one line and give what the terminal shows, errors included, with a steady face."""
        return self._steady(self._run(line, stdin)[0])

    def exit_code(self, line: str) -> int:
        """Type one line and give its exit code."""
        return self._run(line, "")[1]

    def envelope(self, line: str) -> str:
        """Type one line with ``--json`` and give its envelope, indented."""
        shown = json.loads(self._run(line, "")[0].splitlines()[-1])
        return self._steady(json.dumps(shown, indent=2, ensure_ascii=False))

    def typed(self, *lines: str, exit_code: int = 0) -> str:
        """Type lines and give a fenced block of them with their output, as a page shows it.

        Raises:
            RuntimeError: A line ends with another exit code than the page says: the page would lie.
        """
        shown = []
        for line in lines:
            said, code = self._run(line, "")
            if code != exit_code:
                raise RuntimeError(f"{line!r} ended with exit code {code}, not {exit_code}:\n{said}")
            shown.append(f"$ {line}\n{self._steady(said)}".rstrip())
        return "```console\n" + "\n\n".join(shown) + "\n```"

    def _run(self, line: str, stdin: str) -> tuple[str, int]:
        words = shlex.split(line)
        if words[0] == "cd":
            os.chdir(words[1])
            return "", 0
        said = io.StringIO()
        before = sys.argv, sys.stdin
        sys.argv, sys.stdin = words, io.StringIO(stdin)
        code = 0
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                main()
        except SystemExit as left:
            code = int(left.code or 0)
        finally:
            sys.argv, sys.stdin = before
        return said.getvalue(), code

    def _steady(self, text: str) -> str:
        text = text.replace(self._home, "/home/mary")
        for pattern, instead in STEADY:
            text = re.sub(pattern, instead, text)
        return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """The environment of nobody in particular; the old one comes back."""
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith("CONNECTOR_") or name == "WAREHOUSE_URL":
            del os.environ[name]
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
