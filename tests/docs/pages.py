"""The pages of the documentation, and the fenced blocks and citations in them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *DOCS.rglob("*.md")])
DEPLOY_PAGES = sorted((ROOT / "deploy").rglob("*.md"))

_FENCE = re.compile(r"^```(?P<language>\w*)(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block. Its language says how it is tested; CONTRIBUTING.md lists the languages."""

    page: Path
    line: int
    language: str
    title: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclasses.dataclass(frozen=True)
class Command:
    """A command of a `console` block, and the lines that follow it."""

    text: str
    expected: list[str]


def read_blocks(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in _FENCE.finditer(text):
        title = re.search(r'title="([^"]*)"', found["info"])
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page, line, found["language"], title[1] if title else "", found["text"])


def blocks(*languages: str, pages: list[Path] = PAGES) -> list[Block]:
    """All blocks of some languages."""
    return [block for page in pages for block in read_blocks(page) if block.language in languages]


def commands(block: Block) -> list[Command]:
    """Return the commands of a `console` block: each line that begins with `$ `, with the lines that continue it."""
    found: list[Command] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:], []))
        elif found and found[-1].text.endswith("\\") and not found[-1].expected:
            found[-1] = Command(f"{found[-1].text}\n{line}", [])
        elif line.strip():
            assert found, f"{block}: expected a line that begins with '$ ', got {line!r}"
            found[-1].expected.append(line)
    return found


def prose(page: Path) -> str:
    """Return the text of a page without fenced blocks and comments."""
    return _COMMENT.sub("", _FENCE.sub("", page.read_text("utf-8")))


def code_spans(page: Path) -> list[str]:
    """Return the texts between backquotes outside of fenced blocks."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose(page))
