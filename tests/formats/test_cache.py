import sys
from pathlib import Path

import pytest

from spacy_elmo.formats.cache import cache_directory


def test_the_environment_chooses_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SPACY_ELMO_CACHE", str(tmp_path))
    assert cache_directory() == tmp_path
    monkeypatch.setenv("SPACY_ELMO_CACHE", "~/elmo")
    assert cache_directory() == Path.home() / "elmo"


@pytest.mark.parametrize(
    ("platform", "variable", "folder"),
    [
        ("linux", "XDG_CACHE_HOME", ".cache/spacy-elmo"),
        ("darwin", None, "Library/Caches/spacy-elmo"),
        ("win32", "LOCALAPPDATA", "AppData/Local/spacy-elmo"),
    ],
)
def test_otherwise_it_is_where_the_platform_keeps_caches(
    monkeypatch, tmp_path, platform, variable, folder
):
    for name in ("SPACY_ELMO_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_directory() == Path.home() / folder
    if variable:
        monkeypatch.setenv(variable, str(tmp_path))
        assert cache_directory() == tmp_path / "spacy-elmo"
