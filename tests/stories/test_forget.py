"""Somebody asks to be forgotten: out of every audience, never in again, and a certificate that names nobody."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Members = Callable[[], list[dict[str, Any]]]
    Run = Callable[..., Any]


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


MARY = {"EXTERN_ID": "1", "EMAIL": sha("mary@example.com"), "PHONE": sha("16505551212"), "FN": sha("mary"), "COUNTRY": sha("us")}  # fmt: skip
RENE = {"EXTERN_ID": "2", "EMAIL": sha("rene@example.org"), "PHONE": sha("33639981234"), "FN": sha("rené"), "COUNTRY": sha("fr")}  # fmt: skip
AIKO = {"EXTERN_ID": "3", "EMAIL": sha("aiko@example.net"), "FN": sha("愛子"), "COUNTRY": sha("jp")}
RAW = ("Mary@Example.com", "mary@example.com", "6505551212", "(650) 555-1212", MARY["EMAIL"], MARY["PHONE"])


def digest_of(people: Iterable[dict[str, str]]) -> str:
    """The order-free digest of contract.md §6, computed here on its own."""
    total = 0
    for one in people:
        text = json.dumps(sorted(one.items()), separators=(",", ":"), ensure_ascii=False)
        total += int(hashlib.sha256(text.encode()).hexdigest(), 16)
    return f"{total % 2**256:064x}"


def add(run: Run, sandbox: dict[str, Any], name: str = "demo", title: str = "People") -> None:
    done = run(
        "add", "destination", name, "--ad-account", sandbox["ad_account"], "--business", sandbox["business"],
        "--new-audience", title, "--accept-data-terms",
    )  # fmt: skip
    assert done.exit_code == 0, done.err


def export(run: Run, *words: str) -> dict[str, Any]:
    done = run("export", "segment", *words, "--json")
    assert done.exit_code == 0, done.out + done.err
    return dict(done.envelope["data"])


def forget(run: Run, *words: str, stdin: str = "", exit_code: int = 0) -> dict[str, Any]:
    done = run("forget", *words, "--yes", "--json", stdin=stdin)
    assert done.exit_code == exit_code, done.out + done.err
    return dict(done.envelope["data"].get("certificate") or done.envelope["error"])


def held(members: Members, title: str = "People") -> tuple[int, str]:
    (audience,) = [a for a in members() if a["name"] == title]
    return audience["members"], audience["digest"]


def just(*people: dict[str, str]) -> tuple[int, str]:
    return len(people), digest_of(people)


def everything_written(folder: Path) -> bytes:
    """All that stands in the workspace's own state, the ledger included."""
    return b"".join(path.read_bytes() for path in sorted((folder / ".connector").rglob("*")) if path.is_file())


@pytest.mark.parametrize(
    "words",
    [
        ("--email", " MARY@example.com "),
        ("--email", MARY["EMAIL"].upper()),
        ("--phone", "+1 650 555 1212"),
        ("--phone", "650-555-1212", "--country", "us"),
        ("--external-id", "1"),
    ],
)
def test_whoever_is_forgotten_leaves_by_any_identifier_and_stays_out_in_every_mode(
    workspace: Path, sandbox: dict[str, Any], members: Members, run: Run, words: tuple[str, ...]
) -> None:
    add(run, sandbox)
    export(run, "people")
    (place,) = forget(run, *words)["places"]
    assert (place["outcome"], place["profiles"], place["destination"]) == ("removed", 1, "demo")
    assert held(members) == just(RENE, AIKO)
    for mode in ("add", "mirror", "replace"):
        data = export(run, "people", "--mode", mode, "--yes", "--allow-shrink")
        assert data["profiles"]["skipped"]["suppressed"] == 1, mode
        assert held(members) == just(RENE, AIKO), mode


def test_values_may_come_by_stdin_and_nothing_of_them_is_written_or_printed(
    workspace: Path, sandbox: dict[str, Any], members: Members, run: Run
) -> None:
    add(run, sandbox)
    export(run, "people")
    done = run("forget", "--stdin", "--yes", stdin="email Mary@Example.com\n\nphone: (650) 555-1212\n")
    assert done.exit_code == 0, done.err
    assert "1 email, 1 phone" in done.out
    said = (done.out + done.err).encode() + everything_written(workspace)
    for value in RAW:
        assert value.encode() not in said
    for digest in (MARY["EMAIL"], MARY["PHONE"]):
        assert bytes.fromhex(digest)[7::-1] not in said, "the ledger's words are little-endian"
    assert bytes.fromhex(RENE["EMAIL"])[7::-1] in said, "so this looks where digests are"
    assert held(members) == just(RENE, AIKO)
