"""The documentation: what its pages show runs, and what they link to is there."""

import os
import re
import shutil
from importlib.metadata import distribution

import pytest
from pages import PAGES, ROOT, check_output, read_blocks, run_block

# What pages use of a clone
CLONE = ("configs", "projects/ner/assets", "projects/ner/scripts")
SLOW = {"docs/how_to/fine_tune_or_freeze.md"}  # trains

BLOCKS = {str(path.relative_to(ROOT)): read_blocks(path) for path in PAGES}


def _pages_with_blocks():
    """Those with commands are slow: each starts a process."""
    run = {name: [b for b in blocks if b.reason is None] for name, blocks in BLOCKS.items()}
    return [
        pytest.param(name, marks=[pytest.mark.slow] if name in SLOW or starts else [])
        for name, blocks in run.items()
        for starts in [any(block.language == "bash" for block in blocks)]
        if blocks
    ]


@pytest.mark.parametrize("name", _pages_with_blocks())
def test_all_blocks_of_a_page_run(name, tmp_path, monkeypatch):
    """In order, in a folder that is a clone's root to them. Python's share their names."""
    if os.name != "posix" and any(block.language == "bash" for block in BLOCKS[name]):
        pytest.skip("needs a shell")
    for part in CLONE:
        shutil.copytree(ROOT / part, tmp_path / part)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPACY_ELMO_CACHE", str(tmp_path / "cache"))
    namespace = {"__name__": "page"}
    for block in BLOCKS[name]:
        if block.reason is None:
            printed = run_block(block, ROOT / name, tmp_path, namespace)
            if block.output is not None:
                check_output(block.output, printed, f"{name}, line {block.line}")


def test_blocks_that_are_not_run_say_why():
    reasons = {
        f"{name}, line {block.line}": block.reason
        for name, blocks in BLOCKS.items()
        for block in blocks
        if block.reason is not None
    }
    for where, reason in reasons.items():
        print(f"{where}: {reason}")
    assert all(len(reason) > 4 for reason in reasons.values())


def test_a_clone_is_installed_with_constraints_and_the_package_without():
    pages = [*PAGES[1:], ROOT / "CONTRIBUTING.md"]
    commands = [
        command
        for text in (path.read_text(encoding="utf-8") for path in pages)
        for command in re.findall(r"pip install [^`\n#&]+", text)
    ]
    of_clone = [c for c in commands if re.search(r" (\.|\"\.\[[^ ]+)\s*$", c)]
    of_package = [c for c in commands if "spacy-elmo" in c]
    assert len(of_clone) >= 2 and len(of_package) >= 3
    assert all("-c constraints.txt" in command for command in of_clone)
    assert not any("-c " in command for command in of_package)


def test_whatever_a_config_can_name_is_in_the_reference():
    names = {
        entry.name
        for entry in distribution("spacy-elmo").entry_points
        if entry.value.startswith("spacy_elmo.") and entry.name.startswith("spacy-elmo.")
    }
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs/reference").glob("*.md")]
    assert len(names) > 9
    assert {name for name in names if not any(name in page for page in pages)} == set()


def test_links_of_the_readme_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert len(local) > 5
    assert [link for link in local if not (ROOT / link).exists()] == []


def test_the_readme_is_short():
    words = (ROOT / "README.md").read_text(encoding="utf-8").split()
    assert len(words) <= 900


@pytest.mark.parametrize(
    ("printed", "is_right"),
    [
        ("bank 0.77\n(3, 256)\n", True),
        ("bank  0.78\n(3, 256)\n", True),  # rounded on another machine
        ("bank 0.87\n(3, 256)\n", False),
        ("river 0.77\n(3, 256)\n", False),
        ("bank 0.77\n(4, 256)\n", False),
        ("bank 0.77\n(3, 256)\nmore\n", False),
    ],
)
def test_what_a_block_prints_is_compared(printed, is_right):
    expected = "bank 0.77\n(3, 256)\n"
    if is_right:
        check_output(expected, printed, "page")
    else:
        with pytest.raises(AssertionError):
            check_output(expected, printed, "page")


def test_three_dots_stand_for_anything():
    check_output("…\nMix of ner …\n", "Layers 3\nMix of ner 0.3, 0.4\n", "page")
    with pytest.raises(AssertionError):
        check_output("…\nMix of ner …\n", "Layers 3\n", "page")


def test_blocks_of_a_page(tmp_path):
    lines = [
        "```python",
        "1",
        "```",
        "",
        "% not run: no network",
        "```bash",
        "ls",
        "```",
        "```output",
    ]
    (tmp_path / "page.md").write_text("\n".join([*lines, "a", "```", "```ini", "b", "```"]))
    first, second = read_blocks(tmp_path / "page.md")
    assert first == ("python", "1\n", 2, None, None)
    assert second == ("bash", "ls\n", 7, "no network", "a\n")


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_a_command_that_fails_is_told_with_its_page(tmp_path):
    (tmp_path / "page.md").write_text("```bash\necho no\nfalse\n```\n")
    [block] = read_blocks(tmp_path / "page.md")
    with pytest.raises(AssertionError, match=r"page\.md, line 2:\nno"):
        run_block(block, tmp_path / "page.md", tmp_path, {})
