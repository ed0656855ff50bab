import io
import os
import stat
import tarfile
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest

from spacy_elmo.formats import archive
from spacy_elmo.formats.archive import contents, is_archive_name, unpack

FILES = {"config.json": b"{}", "inner/encoder.pkl": bytes(range(256)) * 20, "empty": b""}


def make_zip(path, files):
    """files: Names (or ZipInfo) and contents."""
    with ZipFile(path, "w", ZIP_DEFLATED) as file:
        for name, content in files:
            file.writestr(name, content)


def make_tar(path, files, mode="w:gz"):
    """files: Names (or TarInfo) and contents."""
    with tarfile.open(path, mode) as file:
        for name, content in files:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if member.isreg():
                member.size = len(content)
            file.addfile(member, io.BytesIO(content))


MAKERS = pytest.mark.parametrize("make", [make_zip, make_tar])


@pytest.fixture
def refuses(tmp_path):
    """Unpacks an archive that must be refused; nothing is written outside its directory."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text("mine")

    def call(path, match):
        directory = outside / "inside" / "directory"
        with pytest.raises(ValueError, match=match) as error:
            unpack(path, directory)
        assert str(path) in str(error.value)
        assert sorted(p.name for p in outside.iterdir()) == ["inside", "mine"]
        assert (outside / "mine").read_text() == "mine"
        assert [p.name for p in (outside / "inside").iterdir()] == ["directory"]
        assert not any(p.is_symlink() for p in directory.rglob("*"))
        return directory

    return call


@pytest.mark.parametrize(
    "name", ["a.zip", "A.ZIP", "a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz"]
)
def test_names_of_archives(name):
    assert is_archive_name(name)


@pytest.mark.parametrize("name", ["a.hdf5", "zip", "a.gz", "a.zip.part", ""])
def test_names_of_other_files(name):
    assert not is_archive_name(name)


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("prefix", ["", "./", "folder/"])
def test_unpack_writes_the_files(tmp_path, kind, prefix):
    """Whatever the archive is called."""
    path = tmp_path / "archive"
    files = [(prefix + name, content) for name, content in FILES.items()]
    if kind == "zip":
        make_zip(path, [("inner/", b""), *files])
    else:
        folder = tarfile.TarInfo("inner")
        folder.type = tarfile.DIRTYPE
        make_tar(path, [(folder, b""), *files], kind)
    unpack(path, tmp_path / "new" / "directory")
    directory = tmp_path / "new" / "directory" / prefix
    written = {p.relative_to(directory).as_posix(): p for p in directory.rglob("*") if p.is_file()}
    assert {name: path.read_bytes() for name, path in written.items()} == FILES


@MAKERS
@pytest.mark.parametrize(
    "name",
    [
        "../mine",
        "../../mine",
        "a/../../../mine",
        "a/..",
        "..",
        "/mine",
        "//host/mine",
        r"..\mine",
        r"\mine",
        r"C:\mine",
        "C:mine",
        "mine:stream",
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, refuses, make, name):
    make(tmp_path / "a", [(name, b"theirs")])
    refuses(tmp_path / "a", "may lead elsewhere")


def test_the_absolute_name_of_a_file(tmp_path, refuses):
    target = tmp_path / "outside" / "mine"
    make_zip(tmp_path / "a", [(str(target), b"theirs")])
    refuses(tmp_path / "a", "may lead elsewhere")


def test_links_in_a_zip_are_refused(tmp_path, refuses):
    link = ZipInfo("link")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    make_zip(tmp_path / "a", [(link, b"../.."), ("link/mine", b"theirs")])
    refuses(tmp_path / "a", "'link' is not a plain file")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, refuses, kind):
    link = tarfile.TarInfo("link")
    link.type = kind
    link.linkname = "../../mine"
    make_tar(tmp_path / "a", [(link, b""), ("link", b"theirs")])
    refuses(tmp_path / "a", "'link' is not a plain file")


@MAKERS
def test_permissions_are_not_taken_over(tmp_path, make):
    name = "run"
    if make is make_zip:
        member = ZipInfo(name)
        member.external_attr = (stat.S_IFREG | 0o4777) << 16
    else:
        member = tarfile.TarInfo(name)
        member.mode = 0o4777
    make(tmp_path / "a", [(member, b"x")])
    unpack(tmp_path / "a", tmp_path / "new")
    assert not os.stat(tmp_path / "new" / name).st_mode & (stat.S_ISUID | stat.S_IXUSR)


@MAKERS
def test_bombs_are_refused(tmp_path, refuses, monkeypatch, make):
    """Ten million zeros pack to a thousandth."""
    monkeypatch.setattr(archive, "SMALL", 100_000)
    make(tmp_path / "a", [("zeros", bytes(10_000_000))])
    size = (tmp_path / "a").stat().st_size
    assert size < 20_000
    directory = refuses(tmp_path / "a", "far more than weights")
    written = sum(path.stat().st_size for path in directory.rglob("*"))
    assert written <= max(100_000, 50 * size)


@MAKERS
def test_bombs_of_many_parts_are_refused(tmp_path, refuses, monkeypatch, make):
    monkeypatch.setattr(archive, "SMALL", 100_000)
    make(tmp_path / "a", [(f"zeros{i}", bytes(1_000_000)) for i in range(10)])
    refuses(tmp_path / "a", "far more than weights")


@MAKERS
@pytest.mark.parametrize("content", [b"x", b""])
def test_archives_of_very_many_files_are_refused(tmp_path, refuses, monkeypatch, make, content):
    monkeypatch.setattr(archive, "MAX_FILES", 10)
    make(tmp_path / "a", [(f"{i}", content) for i in range(11)])
    assert len(list(refuses(tmp_path / "a", "far more files").iterdir())) == 10
    make(tmp_path / "b", [(f"{i}", content) for i in range(10)])
    unpack(tmp_path / "b", tmp_path / "new")


@MAKERS
@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_files_in_each_others_place_are_refused(tmp_path, refuses, make, names):
    make(tmp_path / "a", [(name, b"x") for name in names])
    refuses(tmp_path / "a", "can't be unpacked")


@pytest.mark.parametrize("content", [b"", b"neither", b"PK\x03\x04 damaged", b"\x1f\x8b damaged"])
def test_what_is_no_archive(tmp_path, refuses, content):
    (tmp_path / "a").write_bytes(content)
    refuses(tmp_path / "a", "can't be unpacked")


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
def test_a_cut_archive(tmp_path, refuses, kind):
    path = tmp_path / "a"
    files = [("noise", os.urandom(100_000))]
    make_zip(path, files) if kind == "zip" else make_tar(path, files, kind)
    path.write_bytes(path.read_bytes()[:50_000])
    refuses(path, "can't be unpacked")


def test_a_changed_byte(tmp_path, refuses):
    path = tmp_path / "a"
    make_zip(path, [("noise", os.urandom(1000))])
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    refuses(path, "can't be unpacked")


def test_an_encrypted_zip(tmp_path, refuses):
    path = tmp_path / "a"
    make_zip(path, [("secret", b"x")])
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x03\x04") + 6] |= 1  # the flag in the file's header …
    content[content.index(b"PK\x01\x02") + 8] |= 1  # … and in the directory
    path.write_bytes(content)
    refuses(path, "encrypted")


def test_what_macos_adds_is_no_content(tmp_path):
    for name in ("__MACOSX", "bilm"):
        (tmp_path / name).mkdir()
    (tmp_path / ".DS_Store").write_bytes(b"")
    assert contents(tmp_path) == [tmp_path / "bilm"]
