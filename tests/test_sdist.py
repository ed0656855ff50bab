"""The source distribution: what a clone holds, so that its tests run; and the wheel that is built
of it: the package, with the configs that stand beside it in a clone."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
# Of no use without git and its host.
LEFT_OUT = {".gitignore"}


@pytest.fixture(scope="module")
def files():
    """The names of all files of a clone."""
    pytest.importorskip("setuptools")
    if not (ROOT / ".git").exists():
        pytest.skip("needs a clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return {name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).exists()}


@pytest.fixture(scope="module")
def sdist(files, tmp_path_factory):
    """The archive."""
    folder = tmp_path_factory.mktemp("sdist")
    for name in files:  # a copy, in which nothing is left of earlier builds
        (folder / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "clone" / name)
    (folder / "clone" / "tests" / "__pycache__").mkdir()
    (folder / "clone" / "tests" / "__pycache__" / "helpers.cpython-311.pyc").write_bytes(b"")
    return build("sdist", folder / "clone", folder)


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """The archive, made of nothing but the source distribution."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as tar:
        tar.extractall(folder, filter="data")
    [unpacked] = folder.iterdir()
    return build("wheel", unpacked, folder)


def build(kind, source, output):
    code = f"import sys; from setuptools.build_meta import build_{kind} as f; f(sys.argv[1])"
    command = [sys.executable, "-c", code, str(output)]
    subprocess.run(command, cwd=source, capture_output=True, check=True)
    [archive] = [path for path in output.iterdir() if path.suffix in (".gz", ".whl")]
    return archive


def test_a_source_distribution_holds_all_files_of_a_clone(files, sdist):
    with tarfile.open(sdist) as tar:
        packed = {member.name.partition("/")[2] for member in tar if member.isfile()}
    assert files - packed == LEFT_OUT
    assert not [name for name in packed if "__pycache__" in name]


def test_a_wheel_holds_the_package_and_the_configs(files, wheel):
    package = {name for name in files if name.startswith("spacy_elmo/")}
    configs = {f"spacy_elmo/{name}" for name in files if name.startswith("configs/")}
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert len(configs) >= 5
    assert packed == package | configs


def test_configs_are_found_without_a_clone(wheel, tmp_path):
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = "from spacy_elmo.cli import elmo_cli; elmo_cli(prog_name='elmo')"
    command = [sys.executable, "-c", code, "init-config", "out.cfg", "--copy", "pretrain"]
    path = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, check=True)
    assert (tmp_path / "out.cfg").read_bytes() == (ROOT / "configs" / "pretrain.cfg").read_bytes()
