"""The code blocks of the documentation's pages, and how they are run."""

import ast
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUN = ("python", "bash")
# The README's tests are run by .ci/run.
_REASON = re.compile(r"^(?:%|<!--) (?:not run: )?(?P<reason>.+?)(?: -->)?$")
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


class Block(NamedTuple):
    """A fenced block.

    language: "python" or "bash".
    code: What is in it.
    line: Its first line in the page, from 1.
    reason: Why it isn't run; None if it is.
    output: What it prints, if a block ``output`` follows it.
    """

    language: str
    code: str
    line: int
    reason: "str | None"
    output: "str | None"


def read_blocks(path):
    """The blocks of a page that a reader could run. The line ``% not run: REASON`` (a comment of
    MyST, or one of HTML) stands right before one that can't be."""
    text = path.read_text(encoding="utf-8")
    lines, tokens = text.splitlines(), MarkdownIt("commonmark").parse(text)
    blocks = []
    for token, after in pairwise([*tokens, None]):
        if token.type == "fence" and token.info in RUN:
            first = token.map[0]
            reason = _REASON.match(lines[first - 1].strip())
            is_shown = after is not None and after.type == "fence" and after.info == "output"
            output = after.content if is_shown else None
            blocks.append(
                Block(token.info, token.content, first + 2, reason and reason["reason"], output)
            )
    return blocks


def run_block(block, path, folder, namespace):
    """Run a block in a folder, which is the working directory of Python's blocks, too.

    RETURNS: What it printed.
    """
    if block.language == "python":
        # So that errors name the page and its line
        tree = ast.increment_lineno(ast.parse(block.code), block.line - 1)
        with redirect_stdout(StringIO()) as printed:
            exec(compile(tree, str(path), "exec"), namespace)
        return printed.getvalue()
    binaries = str(Path(sys.executable).parent)
    programs = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": programs, "ANSI_COLORS_DISABLED": "1"}  # that of wasabi
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.code],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, f"{path}, line {block.line}:\n{done.stdout}"
    return done.stdout


def check_output(expected, printed, where):
    """Words are the same, "…" is anything, and numbers are near: machines round differently."""
    expected_lines, lines = expected.strip().splitlines(), printed.strip().splitlines()
    message = f"{where} printed:\n{printed}"
    if "…" not in expected_lines:
        assert len(lines) == len(expected_lines), message
    lines = iter(lines)
    for expected_line in expected_lines:
        if expected_line == "…":
            continue
        assert any(_is_alike(expected_line, line) for line in lines), (
            f"{where}: no line like {expected_line!r}. {message}"
        )


def _is_alike(expected, line):
    shape = ".*".join(map(re.escape, _NUMBER.sub("0", _tidy(expected)).split("…")))
    if not re.fullmatch(shape, _NUMBER.sub("0", _tidy(line))):
        return False
    if "…" in expected:
        return True
    pairs = zip(_numbers(expected), _numbers(line), strict=True)
    return all(abs(a - b) <= max(0.02, 0.02 * abs(a)) for a, b in pairs)


def _tidy(line):
    return " ".join(line.split())


def _numbers(line):
    return [float(number.replace(",", "")) for number in _NUMBER.findall(line)]
