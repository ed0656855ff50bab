import hashlib
import re

import pytest

from spacy_elmo.formats.urls import Url

CHECKSUM = hashlib.sha256(b"weights").hexdigest()


@pytest.mark.parametrize(
    ("text", "folder", "name", "query"),
    [
        ("https://host/a/b/w.hdf5", "https://host/a/b/", "w.hdf5", ""),
        ("https://host:80/a/w.zip?x=1/2&y", "https://host:80/a/", "w.zip", "?x=1/2&y"),
        ("https://host/a/", "https://host/a/", "", ""),
        ("https://host", "https://", "host", ""),
        ("s3://bucket/a?versionId=1", "s3://bucket/", "a", "?versionId=1"),
    ],
)
def test_the_parts_of_a_url(text, folder, name, query):
    for checksum in (None, CHECKSUM):
        url = Url.parse(text + (f"#sha256={checksum}" if checksum else ""))
        assert url == Url(folder, name, query, checksum)
        assert url.address == text
        assert str(url) == text.partition("?")[0]


def test_a_checksum_in_capitals():
    assert Url.parse(f"https://host/w#sha256={CHECKSUM.upper()}").sha256 == CHECKSUM


@pytest.mark.parametrize("checksum", ["", "12", "x" * 64, CHECKSUM + "0", CHECKSUM + "&a=b"])
def test_not_a_checksum(checksum):
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        Url.parse(f"https://host/w#sha256={checksum}")


def test_other_files_in_the_same_place():
    url = Url.parse(f"https://host/a/w.hdf5?token=1#sha256={CHECKSUM}")
    assert url.beside("options.json") == Url.parse("https://host/a/options.json?token=1")
    for directory in ("https://host/a", "https://host/a/"):
        inside = Url.parse(directory).inside("config.json")
        assert inside == Url.parse("https://host/a/config.json")


@pytest.mark.parametrize(
    "text",
    [
        "reference://a::http://host/a.json",
        "zip://in/w::https://host/a.zip",
        "simplecache::s3://bucket/key",
        "https://host/a::reference://b",
        "memory://a",
        "github://a:b@/c",
        "file:///a",
        "ssh://host/a",
        "HTTPS://host/a",
    ],
)
def test_urls_that_would_choose_another_program_are_refused(text):
    with pytest.raises(ValueError, match="not a URL that is opened here"):
        Url.parse(text)


def test_files_that_lie_together_are_kept_together(cache):
    place = Url.parse("https://host/bilm/w.hdf5").place
    assert place.parent == cache
    assert re.fullmatch(r"bilm-[0-9a-f]{12}", place.name)
    assert Url.parse("https://host/bilm/options.json").place == place


def test_files_of_different_places_are_kept_apart():
    texts = [
        "https://host/bilm/w",
        "http://host/bilm/w",
        "https://host/BILM/w",
        "https://other/bilm/w",
        "https://host/bilm/w?version=2",
        f"https://host/bilm/w#sha256={CHECKSUM}",
        "https://host/bilm/b/w",
        "https://host/w",
    ]
    assert len({Url.parse(text).place for text in texts}) == len(texts)


@pytest.mark.parametrize(
    "text",
    [
        "https://host/a/..",
        "https://host/../..",
        r"https://host/..\..\w",
        "https://host/%2e%2e%2fw",
        "https://host/.w",
        "https://host/a/.",
        "https://host/",
        "https://user:secret@host/w",
        "https://host/" + "x" * 300,
        "https://host/" + "x" * 300 + "/w",
        "https://host/\u00e4\0\n:*w",
    ],
)
def test_names_in_the_cache_are_harmless(cache, text):
    url = Url.parse(text)
    for name in (url.file_name, url.place.name):
        assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}", name)
    assert url.place.parent == cache
    assert "secret" not in str(url.place)


def test_a_long_name_keeps_its_end():
    assert Url.parse("https://host/" + "x" * 300 + ".zip").file_name.endswith("x.zip")


def test_different_names_are_kept_apart():
    long = "x" * 100
    names = ["\u00e4.zip", "\u00f6.zip", "_.zip", "a b", "a+b", "a_b", ".w", "w", "", "file"]
    names += [f"1{long}.zip", f"2{long}.zip", long, f"x{long}"]
    assert len({Url.parse(f"https://host/{name}").file_name for name in names}) == len(names)
    assert Url.parse(f"https://host/{long}").file_name == long


@pytest.mark.parametrize(
    "text",
    [
        "https://user:secret@host/w@2?a=b@secret",
        "https://us@er:sec@ret@host/w@2?X-Signature=secret&x= secret",
        "https://secret@host/w@2?sv=1?secret",
    ],
)
def test_secrets_are_used_but_not_shown(text):
    url = Url.parse(text)
    assert url.address == text
    assert str(url) == repr(url) == "https://host/w@2"
    for end in ("#sha256=1", "#secret"):
        with pytest.raises(ValueError, match="https://host/w@2: ") as error:
            Url.parse(text + end)
        assert "sec" not in str(error.value).replace("hexadecimal", "")


@pytest.mark.parametrize("end", ["#sha=" + "0" * 64, "#", "#part", "#x#sha256=" + "0" * 64])
def test_nothing_else_may_stand_after_the_number_sign(end):
    """A mistyped checksum would go unnoticed."""
    with pytest.raises(ValueError, match="only 'sha256='"):
        Url.parse(f"https://host/a.zip{end}")
