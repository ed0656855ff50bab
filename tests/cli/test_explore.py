import subprocess
import sys

import pytest
from helpers import save_tiny_bilm

from spacy_elmo.cli import explore as command  # the function; its module is behind it

module = sys.modules[command.__module__]


@pytest.fixture
def source(tmp_path):
    return save_tiny_bilm(tmp_path / "bilm")


@pytest.fixture
def text(tmp_path):
    (tmp_path / "text.txt").write_text("He sat on the bank. She left.\n")
    return tmp_path / "text.txt"


@pytest.fixture
def started(monkeypatch):
    """The commands that were started, if everything that the page needs is installed."""
    commands = []

    def start(command):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(module.subprocess, "run", start)
    monkeypatch.setattr(module, "find_spec", lambda name: object())
    return commands


def test_the_page_is_started(run, source, text, cache, started):
    code, _ = run("explore", source, text, "--port", 8765, "--no-browser")
    assert code == 0
    (command,) = started
    assert command[:4] == [sys.executable, "-m", "streamlit", "run"]
    for flag in (
        "--server.address=localhost",
        "--server.headless=true",
        "--server.port=8765",
        "--browser.gatherUsageStats=false",
    ):
        assert flag in command[: command.index("--")]
    (index,) = [path for path in (cache / "explore").iterdir() if path.is_dir()]
    assert command[command.index("--") :] == ["--", source, str(index), "en"]


def test_a_browser_opens(run, source, text, started):
    run("explore", source, text)
    assert "--server.headless=false" in started[0]


def test_the_extra_is_missing(run, source, text, started, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    code, output = run("explore", source, text)
    assert code == 1
    assert "The page needs streamlit and sklearn" in output
    assert "pip install 'spacy-elmo[explore]'" in output
    assert started == []


def test_no_such_source_and_no_texts(run, source, text, tmp_path, started):
    code, output = run("explore", "no/such", text)
    assert code == 1 and "Can't explore 'no/such'" in output
    code, output = run("explore", source, tmp_path / "none.txt")
    assert code == 1 and "none.txt" in output
    (tmp_path / "empty.txt").write_text("\n")
    code, output = run("explore", source, tmp_path / "empty.txt")
    assert code == 1 and "There are no words in" in output
    assert started == []
