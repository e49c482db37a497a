"""Reading our pages: the commands they type, the files they name, the blocks that run, the links they hold."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "samples" / "README.md"])
FENCE = re.compile(r"^(?P<ticks>```+)(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=ticks)\s*$", re.MULTILINE | re.DOTALL)
SHELLS = {"sh", "console", "crontab"}
PROGRAM = re.compile(r"(?:\S*/)?connector")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the word after it (``run`` or a file's path), its text."""

    language: str
    mark: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = []
    for match in FENCE.finditer(without_cog(page.read_text(encoding="utf-8"))):
        language, _, mark = match["info"].strip().partition(" ")
        found.append(Block(language, mark.strip(), match["text"]))
    return found


def without_cog(text: str) -> str:
    """The page without the code that writes parts of it."""
    return re.sub(r"<!-- \[\[\[.*?-->\n", "", text, flags=re.DOTALL)


def commands_of(text: str) -> Iterator[list[str]]:
    """Every ``connector …`` of some lines of shell, as words after the program; comments and redirections left out."""
    for line in text.replace("\\\n", " ").splitlines():
        if not re.search(r"(^|[\s/;&$])connector\s", line + " ") or line.lstrip().startswith("#"):
            continue
        words: list[str] = []
        for word in [*_words(line.strip().removeprefix("$ ")), ";"]:
            if not re.fullmatch(r"[;&|<>()]+|\d?>>?(&\d)?", word):
                words.append(word)
                continue
            at = next((n for n, one in enumerate(words) if PROGRAM.fullmatch(one)), None)
            if at is not None and not (at and words[at - 1] in {"pip", "install", "cd", "import", "from"}):
                yield words[at + 1 :]
            words = []


def _words(line: str) -> list[str]:
    splitter = shlex.shlex(line, posix=True, punctuation_chars=True)
    splitter.whitespace_split = True
    return list(splitter)


def shown_commands(page: Path) -> list[list[str]]:
    """Every command that a page shows in a block of shell, fenced or indented."""
    text = without_cog(page.read_text(encoding="utf-8"))
    fenced = [_typed(block) for block in blocks(page) if block.language in SHELLS]
    indented = re.findall(r"^(?: {4}|\t)(.*)$", FENCE.sub("", text), re.MULTILINE)
    return list(commands_of("\n".join([*fenced, *indented])))


def _typed(block: Block) -> str:
    """The lines of a block that a person types: in a transcript those after a dollar sign."""
    if block.language != "console":
        return block.text
    return "\n".join(line for line in block.text.splitlines() if line.startswith("$ "))


def mentioned_commands(page: Path) -> list[list[str]]:
    """Every command named within a sentence, up to the first word that stands for something else."""
    text = FENCE.sub("", without_cog(page.read_text(encoding="utf-8")))
    found = []
    for inside in re.findall(r"`connector ([^`]+)`", text):
        words = inside.split()
        fixed = next((n for n, word in enumerate(words) if not re.fullmatch(r"[a-z][a-z-]*", word)), len(words))
        found.append(words[:fixed])
    return found


def links(page: Path) -> list[str]:
    """The relative links of a page."""
    text = FENCE.sub("", without_cog(page.read_text(encoding="utf-8")))
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]


def anchors(page: Path) -> set[str]:
    """The anchors a page's headings make, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
