"""The source distribution: what a clone holds, so that its tests run."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Of no use without git and its host.
LEFT_OUT = {".gitignore"}


@pytest.mark.slow
def test_a_source_distribution_holds_all_files_of_a_clone(tmp_path):
    pytest.importorskip("setuptools")
    if not (ROOT / ".git").exists():
        pytest.skip("needs a clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    files = {name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).exists()}
    for name in files:  # a copy, in which nothing is left of earlier builds
        (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "clone" / name)
    (tmp_path / "clone" / "tests" / "__pycache__").mkdir()
    (tmp_path / "clone" / "tests" / "__pycache__" / "helpers.cpython-311.pyc").write_bytes(b"")
    code = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path)]
    subprocess.run(command, cwd=tmp_path / "clone", capture_output=True, check=True)
    [archive] = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        packed = {member.name.partition("/")[2] for member in tar if member.isfile()}
    assert files - packed == LEFT_OUT
    assert not [name for name in packed if "__pycache__" in name]
