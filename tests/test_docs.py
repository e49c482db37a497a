"""The documentation is whole and true: everything is in it, every command in it exists, every example runs."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from cogapp import Cog

from connector.cli.main import app
from connector.errors import ALL_ERRORS
from connector.profiles.match_keys import MATCH_KEYS
from docs import generate
from docs.session import Session
from tests.documentation import (
    PAGES,
    ROOT,
    anchors,
    blocks,
    commands_of,
    links,
    mentioned_commands,
    shown_commands,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE = ROOT / "docs" / "reference"
RUNNABLE = [page for page in PAGES if any(block.mark == "run" for block in blocks(page))]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def reference(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


# everything is in it


def test_the_reference_of_commands_is_what_the_command_line_says():
    assert generate.cli() in reference("cli")


def test_every_command_says_what_it_does_what_each_word_means_and_shows_an_example():
    for path, command, context in generate.commands():
        assert len(command.help or "") > 20, path
        records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
        unexplained = [name for name, meaning in records if not re.sub(r"\[.*\]", "", meaning).strip()]
        assert not unexplained, (path, unexplained)
        example = (command.epilog or "").removeprefix("Example: ")
        assert example.startswith(path), path
        (words,) = commands_of(example)
        parse(words)


def test_every_error_code_and_exit_code_is_explained():
    page = reference("errors")
    assert generate.words() in page
    assert generate.exits() in page
    assert generate.graph_table() in page
    assert generate.access_words() in page
    for word in [*generate.error_words(), *generate.graph_words()]:
        assert f"`{word}`" in page
    for one in ALL_ERRORS:
        assert f"| **{one.exit_code}** |" in page
        assert f"`{one.__name__}`" in page


def test_every_error_code_that_the_source_spells_is_found(tmp_path: Path):
    """Another way to look: whatever in the source has the shape of a code and one of our first words."""
    found = set(generate.error_words()) | generate.graph_words()
    first_words = {word.partition(".")[0] for word in found if "." in word}
    elsewhere = {"cli", "sandbox", "access"}  # the sandbox and the gate's sentences have words of their own
    for path in sorted((ROOT / "connector").rglob("*.py")):
        if elsewhere & set(path.relative_to(ROOT).parts[1:-1]):
            continue
        for spelt in re.findall(r'code="([a-z]+\.[a-z_]+)"', path.read_text(encoding="utf-8")):
            assert spelt in found, (path, spelt)
            assert spelt.partition(".")[0] in first_words


@pytest.mark.parametrize("model", generate.MODELS)
def test_every_field_of_every_file_is_explained(model: str):
    assert generate.fields(model) in reference("config")


def test_every_match_key_is_explained():
    assert generate.match_key_fields() in reference("config")
    page = reference("match-keys")
    for key in MATCH_KEYS:
        assert f"`{key.name}`" in page
        assert all(code in page for code in key.wire)


def test_every_environment_variable_is_explained():
    assert generate.environment() in reference("environment")


def test_every_page_is_reached_from_the_index():
    listed = {(ROOT / "docs" / link).resolve() for link in links(ROOT / "docs" / "README.md")}
    missing = [named(page) for page in PAGES if page.is_relative_to(ROOT / "docs") and page not in listed]
    assert missing == ["docs/README.md"]


# everything in it is true


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_shown_is_one_that_the_command_line_takes(page: Path):
    for words in shown_commands(page):
        parse(words)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_mentioned_exists(page: Path):
    for words in mentioned_commands(page):
        command = typer.main.get_command(app)
        for word in words:
            nested = getattr(command, "commands", {})
            if not nested:
                break
            assert word in nested, words
            command = nested[word]


def parse(words: list[str]) -> None:
    """Let the real command line read the words, without doing what they say."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("connector", [], resilient_parsing=True)
    words = list(words)
    while words and words[0] in getattr(command, "commands", {}):
        word = words.pop(0)
        command = command.commands[word]
        last = not hasattr(command, "commands")
        try:
            context = command.make_context(word, words if last else [], parent=context, resilient_parsing=not last)
        except typer.TyperException as wrong:
            pytest.fail(f"connector {' '.join(words)}: {wrong.format_message()}")
        except typer.Exit:
            return  # --help
    assert not hasattr(command, "commands") or not words or words == ["--help"], words


# everything in it runs


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Session]:
    with Session(tmp_path) as session:
        session.run("connector init .")
        session.connect()
        session.typed(
            f"connector add destination demo --ad-account {session.sandbox['ad_account']}"
            f" --business {session.sandbox['business']} --new-audience Practice --accept-data-terms"
        )
        yield session


@pytest.mark.parametrize("page", RUNNABLE, ids=named)
def test_every_example_that_says_so_runs(page: Path, stranger: Session):
    ran = 0
    for block in blocks(page):
        if "/" in block.mark or "." in block.mark:
            file = Path(block.mark)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        for line in block.text.splitlines() if block.mark == "run" else []:
            wanted = re.search(r"# exit (\d+)", line)
            words = line.partition("#")[0].strip()
            assert stranger.exit_code(words) == int(wanted[1] if wanted else 0), stranger.run(words)
            ran += 1
    assert ran


def test_the_tutorial_shows_what_really_happens():
    page = ROOT / "docs" / "tutorial" / "first-export.md"
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        Cog().callable_main(["cog", "--check", "--diff", "-I", str(ROOT), str(page)])


def test_a_page_whose_command_ends_otherwise_is_not_written(stranger: Session):
    with pytest.raises(RuntimeError, match="ended with exit code 2, not 0"):
        stranger.typed("connector show mapping nothing")
