import sys
from pathlib import Path

import pytest

from spacy_elmo.formats.cache import cache_directory


def test_the_environment_chooses_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SPACY_ELMO_CACHE", str(tmp_path))
    assert cache_directory() == tmp_path
    monkeypatch.setenv("SPACY_ELMO_CACHE", "~/elmo")
    assert cache_directory() == Path.home() / "elmo"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's conventions")
def test_otherwise_it_is_where_the_platform_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.delenv("SPACY_ELMO_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "spacy-elmo"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_directory() == Path.home() / ".cache" / "spacy-elmo"
