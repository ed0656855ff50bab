import hashlib
import io
import socket
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from zipfile import ZipFile

import fsspec
import numpy as np
import pytest
from filelock import FileLock
from fsspec.registry import _registry

from spacy_elmo import urls
from spacy_elmo.formats import remote
from spacy_elmo.formats.remote import NotAvailable, fetch, fetch_archive, unpacked_path
from spacy_elmo.formats.urls import Url

# Large, because what was read ahead when a connection is cut is lost.
CONTENT = np.random.default_rng(0).bytes(3_000_000)
OTHER = np.random.default_rng(1).bytes(3_000_000)
HALF = 1_500_000


@pytest.fixture
def get():
    """Fetches a URL to its place and gives the path."""

    def call(text):
        url = Url.parse(text)
        return fetch(url, url.place)

    return call


@pytest.fixture
def memory(monkeypatch):
    """fsspec's file system in memory, emptied, in place of a bucket."""
    monkeypatch.setattr(urls, "SCHEMES", (*urls.SCHEMES, "memory"))
    fs = fsspec.filesystem("memory")
    yield fs
    fs.store.clear()


def kept(cache):
    """The names of the files in the cache, without locks and digests."""
    names = [path.name for path in cache.rglob("*") if path.is_file()]
    return sorted(name for name in names if not name.endswith((".lock", ".xxh3")))


def with_checksum(url, content):
    return f"{url}#sha256={hashlib.sha256(content).hexdigest()}"


def test_a_file_is_fetched_once(serve, get, cache, capsys):
    server = serve({"a/w.bin": CONTENT})
    path = get(f"{server.url}/a/w.bin")
    assert path.read_bytes() == CONTENT
    assert kept(cache) == ["w.bin"]
    assert f"Fetching {server.url}/a/w.bin to {path}" in capsys.readouterr().err
    server.close()
    assert get(f"{server.url}/a/w.bin") == path
    assert server.requests == [("a/w.bin", None)]
    assert capsys.readouterr().err == ""


def test_an_empty_file(serve, get):
    server = serve({"w.bin": b""})
    assert get(f"{server.url}/w.bin").read_bytes() == b""


def test_a_query_is_sent(serve, get):
    server = serve({"w?token=a/b&c=1": CONTENT})
    assert get(f"{server.url}/w?token=a/b&c=1").read_bytes() == CONTENT


def test_a_download_that_was_cut_goes_on(serve, get, cache, capsys):
    server = serve({"w.bin": CONTENT})
    server.cuts["w.bin"] = [HALF]
    assert get(f"{server.url}/w.bin").read_bytes() == CONTENT
    assert [start is not None for _, start in server.requests] == [False, False, True]
    assert 0 < server.requests[-1][1] <= HALF
    assert kept(cache) == ["w.bin"]
    assert "Trying again" in capsys.readouterr().err


@pytest.mark.parametrize("options", [{"ranges": False}, {"tags": False}])
def test_a_download_that_was_cut_starts_again_if_it_cannot_go_on(serve, get, cache, options):
    """The server sends no parts, or nothing tells whether the file is still the same."""
    server = serve({"w.bin": CONTENT}, **options)
    server.cuts["w.bin"] = [HALF]
    assert get(f"{server.url}/w.bin").read_bytes() == CONTENT
    assert kept(cache) == ["w.bin"]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(serve, get, cache):
    server = serve({"w.bin": CONTENT})
    server.cuts["w.bin"] = [HALF] + 10 * [0]
    with pytest.raises(ValueError, match=r"the connection was cut .*\(4 attempts\)"):
        get(f"{server.url}/w.bin")
    (part,) = cache.rglob("*.part")
    size = part.stat().st_size
    assert 0 < size <= HALF
    assert part.read_bytes() == CONTENT[:size]
    server.cuts.clear()
    server.requests.clear()
    assert get(f"{server.url}/w.bin").read_bytes() == CONTENT
    assert server.requests == [("w.bin", None), ("w.bin", size)]
    assert kept(cache) == ["w.bin"]


def test_a_whole_part_is_only_renamed(serve, get, cache, monkeypatch):
    """The process ended between the last byte and the renaming."""
    server = serve({"w.bin": CONTENT})
    with monkeypatch.context() as patch:
        patch.setattr(remote, "_check", lambda *args: sys.exit(1))
        patch.setattr(remote.Path, "unlink", lambda *args, **kwargs: None)
        with pytest.raises(SystemExit):
            get(f"{server.url}/w.bin")
    assert kept(cache) != ["w.bin"]
    assert get(f"{server.url}/w.bin").read_bytes() == CONTENT
    assert kept(cache) == ["w.bin"]
    assert all(start is None for _, start in server.requests)


def test_halves_of_two_versions_are_not_put_together(serve, get, cache):
    server = serve({"w.bin": CONTENT})
    server.cuts["w.bin"] = [HALF] + 10 * [0]
    with pytest.raises(ValueError, match="cut"):
        get(f"{server.url}/w.bin")
    server.cuts.clear()
    server.files["w.bin"] = OTHER
    assert get(f"{server.url}/w.bin").read_bytes() == OTHER
    assert kept(cache) == ["w.bin"]


def test_a_file_that_changes_between_two_requests(serve, get):
    server = serve({"w.bin": CONTENT})
    server.cuts["w.bin"] = [HALF]
    server.before_range = lambda: server.files.update({"w.bin": OTHER})
    assert get(f"{server.url}/w.bin").read_bytes() == OTHER
    assert server.requests[-1][1] > 0


def test_a_server_that_says_a_wrong_length(serve, get, cache):
    server = serve({"w.bin": CONTENT})
    server.lengths["w.bin"] = len(CONTENT) + 1000
    with pytest.raises(ValueError, match="Can't fetch"):
        get(f"{server.url}/w.bin")
    assert "w.bin" not in kept(cache)


def test_a_checksum_that_fits(serve, get, cache):
    server = serve({"w.bin": CONTENT})
    server.cuts["w.bin"] = [HALF]
    assert get(with_checksum(f"{server.url}/w.bin", CONTENT)).read_bytes() == CONTENT
    assert kept(cache) == ["w.bin"]


def test_a_checksum_that_does_not_fit(serve, get, cache):
    server = serve({"w.bin": CONTENT})
    with pytest.raises(ValueError, match="sha256") as error:
        get(with_checksum(f"{server.url}/w.bin", OTHER))
    for content in (CONTENT, OTHER):
        assert hashlib.sha256(content).hexdigest() in str(error.value)
    assert kept(cache) == []
    assert len(server.requests) == 1


def test_a_file_that_was_fetched_without_a_checksum_is_not_taken_for_one_with(serve, get):
    server = serve({"w.bin": CONTENT})
    get(f"{server.url}/w.bin")
    with pytest.raises(ValueError, match="sha256"):
        get(with_checksum(f"{server.url}/w.bin", OTHER))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_refusal_is_final(serve, get, cache, status):
    server = serve({"w.bin": CONTENT})
    server.errors["w.bin"] = [status]
    with pytest.raises(NotAvailable, match=r"Can't fetch http://.*/w\.bin: "):
        get(f"{server.url}/w.bin")
    assert len(server.requests) == 1
    assert kept(cache) == []


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_fault_may_pass(serve, get, status, capsys):
    server = serve({"w.bin": CONTENT})
    server.errors["w.bin"] = [status] * 3
    assert get(f"{server.url}/w.bin").read_bytes() == CONTENT
    assert capsys.readouterr().err.count("Trying again") == 3


def test_a_fault_that_lasts(serve, get):
    server = serve({"w.bin": CONTENT})
    server.errors["w.bin"] = [503] * 10
    with pytest.raises(ValueError, match=r"503.*\(4 attempts\)") as error:
        get(f"{server.url}/w.bin")
    assert not isinstance(error.value, NotAvailable)
    assert len(server.requests) == 4


def test_a_server_that_never_answers(serve, get, monkeypatch):
    monkeypatch.setattr(remote, "READ_TIMEOUT", 0.2)
    server = serve({"w.bin": CONTENT})
    server.silent = True
    with pytest.raises(ValueError, match=r"(?i)timeout.*\(4 attempts\)"):
        get(f"{server.url}/w.bin")
    assert len(server.requests) == 4


def test_no_server(serve, get):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/w.bin"
        serve({})
        with pytest.raises(ValueError, match=r"Can't fetch .*\(4 attempts\)") as error:
            get(url)
    assert not isinstance(error.value, NotAvailable)


@pytest.mark.parametrize("page", [b"<html>Log in", b"\n<!DOCTYPE HTML>\n<title>Log in"])
def test_a_web_page_in_place_of_the_file(serve, get, cache, page):
    server = serve({"w.bin": page})
    with pytest.raises(ValueError, match="a web page"):
        get(f"{server.url}/w.bin")
    assert kept(cache) == []


def test_threads_that_want_the_same_file_fetch_it_once(serve, get):
    server = serve({"w.bin": CONTENT})
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(get, [f"{server.url}/w.bin"] * 8))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert len(server.requests) == 1


@pytest.mark.slow
def test_processes_that_want_the_same_file_fetch_it_once(serve, cache):
    server = serve({"w.bin": CONTENT})
    code = (
        "import sys; from spacy_elmo.formats.remote import fetch, Url; "
        "url = Url.parse(sys.argv[1]); print(fetch(url, url.place))"
    )
    command = [sys.executable, "-c", code, f"{server.url}/w.bin"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert paths[0] == paths[1] != ""
    assert len(server.requests) == 1
    assert kept(cache) == ["w.bin"]


def test_waiting_for_another_process_has_an_end(serve, get, monkeypatch, capsys):
    monkeypatch.setattr(remote, "LOCK_TIMEOUT", 0.1)
    server = serve({"w.bin": CONTENT})
    url = f"{server.url}/w.bin"
    place = Url.parse(url).place
    place.mkdir()
    with FileLock(place / ".w.bin.lock"), pytest.raises(ValueError, match="Another process"):
        get(url)
    assert "Waiting for another process" in capsys.readouterr().err
    assert get(url).read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written(serve, get, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("SPACY_ELMO_CACHE", str(tmp_path / "file"))
    server = serve({"w.bin": CONTENT})
    with pytest.raises(ValueError, match=r"Can't write .*SPACY_ELMO_CACHE"):
        get(f"{server.url}/w.bin")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk(serve, get, monkeypatch):
    class Full:
        def __init__(self, *args, **kwargs):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(remote, "tqdm", Full)
    monkeypatch.setattr(remote, "_say", lambda text: None)
    server = serve({"w.bin": CONTENT})
    with pytest.raises(ValueError, match="No space left on device"):
        get(f"{server.url}/w.bin")
    assert len(server.requests) == 1


def test_other_file_systems(memory, get):
    memory.pipe("/a/w.bin", CONTENT)
    path = get("memory://a/w.bin")
    memory.store.clear()
    assert path.read_bytes() == CONTENT
    assert get("memory://a/w.bin") == path
    with pytest.raises(NotAvailable, match="no such file"):
        get("memory://a/missing.bin")
    memory.mkdir("/a/folder")
    with pytest.raises(NotAvailable, match="Can't fetch memory://a/folder"):
        get("memory://a/folder")


def test_a_download_from_another_file_system_goes_on(memory, get, monkeypatch):
    memory.pipe("/w.bin", CONTENT)
    read, positions = remote._read, []

    def interrupted(opened):
        positions.append(opened.file.tell())
        if len(positions) == 2:
            raise remote._Interrupted("cut")
        return read(opened)

    monkeypatch.setattr(remote, "PAUSE", 0.0)
    monkeypatch.setattr(remote, "CHUNK", HALF)
    monkeypatch.setattr(remote, "_read", interrupted)
    assert get("memory://w.bin").read_bytes() == CONTENT
    assert positions == [0, HALF, HALF, len(CONTENT)]


@pytest.mark.parametrize(
    ("scheme", "module", "extra"),
    [
        ("http", "aiohttp", "http"),
        ("https", "aiohttp", "http"),
        ("s3", "s3fs", "s3"),
        ("gs", "gcsfs", "gs"),
    ],
)
def test_a_missing_package_is_named_by_its_extra(get, monkeypatch, scheme, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(_registry, scheme, raising=False)
    with pytest.raises(ValueError, match=rf"pip install 'spacy-elmo\[{extra}\]'"):
        get(f"{scheme}://host/w.bin")


@pytest.mark.parametrize("scheme", ["reference::http", "simplecache::http", "reference", "hdfs"])
def test_a_url_chooses_no_program(serve, get, scheme):
    """fsspec's ``reference`` renders templates that the server sends, and others do more."""
    server = serve({"a.json": b'{"version": 1, "refs": {}}'})
    address = server.url.removeprefix("http://")
    with pytest.raises(ValueError, match="not a URL that is opened here"):
        get(f"{scheme}://{address}/a.json")
    assert server.requests == []


@pytest.mark.parametrize("status", [None, 403, 404, 500])
def test_a_signature_is_shown_nowhere(serve, get, capsys, status):
    server = serve({"w.bin?sig=secret": CONTENT})
    server.errors["w.bin?sig=secret"] = [status] * 9 if status else []
    text = f"{server.url}/w.bin?sig=secret"
    if status is None:
        server.cuts["w.bin?sig=secret"] = [HALF]
        assert "secret" not in str(get(text))
    else:
        with pytest.raises(ValueError, match=r"Can't fetch .*/w\.bin: ") as error:
            get(text)
        assert "secret" not in "".join(traceback.format_exception(error.value, limit=0))
    output = capsys.readouterr().err
    assert "w.bin" in output
    assert "secret" not in output


def test_a_damaged_archive_is_asked_for_again(memory, cache):
    url = Url.parse("memory://bilm.zip")
    memory.pipe("/bilm.zip", b"PK damaged")
    with pytest.raises(ValueError, match="can't be unpacked"):
        fetch_archive(url, url.place)
    assert kept(cache) == []
    assert not unpacked_path(url, url.place).exists()
    content = io.BytesIO()
    with ZipFile(content, "w") as archive:
        archive.writestr("config.json", "{}")
    memory.pipe("/bilm.zip", content.getvalue())
    directory = fetch_archive(url, url.place)
    assert (directory / "config.json").read_bytes() == b"{}"
    assert kept(cache) == ["config.json"]


def test_an_archive_that_was_half_unpacked_when_the_process_ended(memory, cache):
    url = Url.parse("memory://bilm.zip")
    content = io.BytesIO()
    with ZipFile(content, "w") as archive:
        archive.writestr("config.json", "{}")
    memory.pipe("/bilm.zip", content.getvalue())
    unpack = remote.unpack

    def end(archive, directory):
        unpack(archive, directory)
        raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remote, "unpack", end)
        patch.setattr(remote.shutil, "rmtree", lambda *args, **kwargs: None)
        with pytest.raises(SystemExit):
            fetch_archive(url, url.place)
    assert kept(cache) == ["config.json"]
    directory = fetch_archive(url, url.place)
    assert [path.name for path in directory.iterdir()] == ["config.json"]
    assert kept(cache) == ["config.json"]


def test_a_directory_that_macos_has_packed(memory):
    content = io.BytesIO()
    with ZipFile(content, "w") as archive:
        for name in ("bilm/config.json", "bilm/.DS_Store", "__MACOSX/bilm/._config.json"):
            archive.writestr(name, "{}")
    memory.pipe("/bilm.zip", content.getvalue())
    url = Url.parse("memory://bilm.zip")
    assert fetch_archive(url, url.place) == unpacked_path(url, url.place) / "bilm"


def test_a_file_that_changes_in_the_cache(serve, get):
    server = serve({"w.bin": CONTENT})
    path = get(f"{server.url}/w.bin")
    damaged = bytearray(CONTENT)
    damaged[HALF] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"w\.bin: has changed .*Delete it"):
        get(f"{server.url}/w.bin")
    assert path.read_bytes() == damaged
    path.unlink()
    assert get(f"{server.url}/w.bin").read_bytes() == CONTENT


def test_a_file_that_was_fetched_before_there_were_digests(serve, get):
    server = serve({"w.bin": CONTENT})
    path = get(f"{server.url}/w.bin")
    path.with_name(".w.bin.xxh3").unlink()
    assert get(f"{server.url}/w.bin") == path


@pytest.mark.parametrize("change", ["byte", "name", "less"])
def test_an_archive_that_changes_in_the_cache(memory, cache, change):
    url = Url.parse("memory://bilm.zip")
    content = io.BytesIO()
    with ZipFile(content, "w") as archive:
        for name in ("config.json", "char.dic", "encoder.pkl"):
            archive.writestr(f"bilm/{name}", name)
    memory.pipe("/bilm.zip", content.getvalue())
    directory = fetch_archive(url, url.place)
    (directory / ".DS_Store").write_bytes(b"the system's")
    assert fetch_archive(url, url.place) == directory
    if change == "byte":
        (directory / "char.dic").write_bytes(b"chas.dic")
    elif change == "name":
        (directory / "char.dic").rename(directory / "word.dic")
    else:
        (directory / "char.dic").unlink()
    with pytest.raises(ValueError, match=r"bilm\.zip\.unpacked: has changed"):
        fetch_archive(url, url.place)
    assert (directory / "encoder.pkl").exists()


def test_a_git_lfs_pointer_in_place_of_the_file(serve, get, cache):
    server = serve({"w.bin": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n"})
    with pytest.raises(ValueError, match="a Git LFS pointer"):
        get(f"{server.url}/w.bin")
    assert kept(cache) == []
