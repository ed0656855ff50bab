"""A corpus that Ray's workers embed: two, on this machine."""

import json
import os
import signal
import socket
import sys

import pyarrow.parquet
import pytest
import spacy
from helpers import save_tiny_bilm
from spacy.tokens import DocBin

from spacy_elmo.cli import _ray, _shards
from spacy_elmo.cli._ray_worker import Worker, pack_pipeline, read_shards

ray = pytest.importorskip("ray")

LINES = [f"The bank number {i} is open. Is it{' not' * (i % 7)}?" for i in range(24)]
LINES[4] = ""
N_PARTS = 8  # of three lines


@pytest.fixture(scope="module")
def cluster():
    """Ray with two CPUs, which the command finds."""
    options = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    ray = _ray.import_ray()
    ray.init(num_cpus=2, object_store_memory=100_000_000, **options)
    yield
    ray.shutdown()


@pytest.fixture
def inline(monkeypatch):
    """What Ray's processes do is done here, one after the other."""

    def computed(_, source, embedder, folder, done, workers):
        worker = _ray.Worker([pack_pipeline(embedder)], str(folder), workers.use_gpu, 0)
        for batch in read_shards({}, source, _shards.SHARD_TOKENS, done):
            yield {name: column[0] for name, column in worker(batch).items()}

    with monkeypatch.context() as patch:
        patch.setattr(ray, "is_initialized", lambda: True)
        patch.setattr(ray, "get", lambda reference: reference)
        patch.setattr(_ray, "_computed", computed)
        yield


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(_shards, "SHARD_TOKENS", 30)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return save_tiny_bilm(tmp_path_factory.mktemp("run") / "bilm")


@pytest.fixture
def embed(run, source, tmp_path):
    """Embeds ``in.txt``, which it writes first if lines are given, by Ray."""

    def call(*options, lines=None, input="in.txt", output="out.parquet"):
        if lines is not None:
            (tmp_path / input).write_text("\n".join(lines))
        arguments = [tmp_path / input, tmp_path / output, "--source", source, *options]
        return run("embed", *arguments, *([] if "--engine" in options else ["--engine", "ray"]))

    return call


@pytest.fixture
def assert_like_local(embed, tmp_path):
    """The table of a folder is the one that the engine on one machine writes, to the last bit."""

    def check(*options, input="in.txt"):
        local = tmp_path / "local.parquet"
        code, _ = embed("--engine", "local", "--force", *options, input=input, output=local.name)
        assert code == 0
        expected = pyarrow.parquet.read_table(local)
        table = pyarrow.parquet.read_table(
            tmp_path / "out.parquet"
        )  # parts in order of their names
        assert table.schema == expected.schema
        assert table.num_rows > 0
        for name in table.column_names:
            ours, theirs = (t[name].combine_chunks() for t in (table, expected))
            assert bits(ours) == bits(theirs)

    return check


def bits(column):
    """A column's values; vectors as bytes."""
    if hasattr(column, "flatten"):
        return column.flatten().to_numpy(zero_copy_only=False).tobytes()
    return column.to_pylist()


def parts_of(folder):
    """The parts with the time when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*")}


def dying(marker, number, times=1):
    """A worker that kills its process in the middle of a shard.

    marker: A folder that tells how often it did."""

    class Dying(Worker):
        def __call__(self, batch):
            embed = self.embedder.embed
            if f"part-{number:08}" in batch["part"][0] and len(os.listdir(marker)) < times:

                def embed_one(docs):
                    yield next(embed(docs))
                    (marker / str(os.getpid())).touch()
                    os.kill(os.getpid(), signal.SIGKILL)

                self.embedder.embed = embed_one
            return super().__call__(batch)

    marker.mkdir()
    return Dying


@pytest.mark.parametrize(
    "options", [[], ["--layers", "mix", "--dtype", "float16"], ["--whole-doc"]]
)
def test_the_vectors_of_the_local_engine(inline, embed, assert_like_local, tmp_path, options):
    code, message = embed(*options, lines=LINES)
    assert code == 0
    assert f"{len(LINES)} Docs with" in message
    output = tmp_path / "out.parquet"
    assert len(parts_of(output)) == N_PARTS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out.parquet"]
    n_words = pyarrow.parquet.read_table(output).num_rows
    assert f"with {n_words} words" in message
    assert_like_local(*options)


def test_other_inputs(inline, embed, assert_like_local, tmp_path):
    entries = [{"text": line} for line in LINES] + [{"tokens": ["He", " ", "sat"]}]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, entries)))
    nlp = spacy.blank("en")
    DocBin(docs=[nlp(line) for line in LINES]).to_disk(tmp_path / "in.spacy")
    for input in ("in.jsonl", "in.spacy"):
        assert embed("--force", input=input)[0] == 0
        assert_like_local(input=input)


def test_a_pipeline_of_which_the_workers_have_nothing(inline, run, source, tmp_path):
    """They get it from the process that has it. The folder may be gone on their machines."""
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo", config={"model": {"source": source}})
    nlp("Load the weights")
    nlp.to_disk(tmp_path / "pipeline")
    (tmp_path / "in.txt").write_text("\n".join(LINES))
    tables = []
    for output, options in [("ray.parquet", ["--engine", "ray"]), ("local.parquet", [])]:
        arguments = [tmp_path / "in.txt", tmp_path / output, "--model", tmp_path / "pipeline"]
        assert run("embed", *arguments, *options)[0] == 0
        tables.append(pyarrow.parquet.read_table(tmp_path / output))
    assert tables[0].equals(tables[1])


def test_a_wrong_line_loses_nothing(inline, embed, assert_like_local, tmp_path):
    lines = [json.dumps({"text": line}) for line in LINES]
    code, message = embed(lines=[*lines[:13], "{", *lines[14:]], input="in.jsonl")
    assert code == 1
    assert "line 14: not JSON" in message
    assert "Finished shards" in message
    before = parts_of(tmp_path / "out.parquet.partial")
    assert len(before) > 1
    code, message = embed(lines=lines, input="in.jsonl")
    assert code == 0
    assert "Docs are done already" in message
    after = parts_of(tmp_path / "out.parquet")
    assert {name: after[name] for name in before} == before
    assert_like_local(input="in.jsonl")


@pytest.fixture
def unfinished(inline, embed, tmp_path):
    """What a run has left that met a wrong line; and that its parts are there at the end."""
    lines = [json.dumps({"text": line}) for line in LINES]
    embed(lines=[*lines[:13], "{"], input="in.jsonl")
    folder = tmp_path / "out.parquet.partial"
    before = parts_of(folder)
    assert before
    yield lines
    assert parts_of(folder) == before


def test_the_folder_of_another_corpus(inline, embed, unfinished):
    others = [json.dumps({"text": f"Other {i}"}) for i in range(24)]
    for lines in (others, unfinished[:2], [*unfinished[:2], *others]):
        code, message = embed(lines=lines, input="in.jsonl")
        assert code == 1
        assert "The input has changed" in message
        assert "delete that folder" in message


def test_the_folder_of_other_settings(inline, embed, unfinished):
    code, message = embed("--layers", "mix", lines=unfinished, input="in.jsonl")
    assert code == 1
    assert "layers was 'all' and is 'mix'" in message


def test_outputs_that_are_refused(inline, embed, tmp_path):
    (tmp_path / "there.parquet").mkdir()
    (tmp_path / "there.parquet" / "notes").write_text("mine")
    for output, options, reason in [
        ("out.hdf5", [], "ends in .parquet"),
        ("there.parquet", [], "--force replaces it"),
        ("there.parquet", ["--force"], "holds other files ('notes')"),
    ]:
        code, message = embed(*options, lines=LINES, output=output)
        assert code == 1
        assert reason in message
    assert (tmp_path / "there.parquet" / "notes").read_text() == "mine"


def test_options_of_the_other_engine(embed):
    code, message = embed("--engine", "local", "--workers", "2", lines=LINES)
    assert code == 1
    assert "go with --engine ray" in message


def test_an_address_that_does_not_answer(embed, monkeypatch, tmp_path):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        for wrong in (address, "nonsense"):
            code, message = embed("--address", wrong, lines=LINES)
            assert code == 1
            assert f"No Ray cluster answers at '{wrong}'" in message
    assert not (tmp_path / "out.parquet").exists()


def test_ray_is_missing(embed, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    code, message = embed(lines=LINES)
    assert code == 1
    assert "pip install 'spacy-elmo[ray]'" in message


@pytest.mark.slow
def test_two_workers_of_which_one_is_killed(
    cluster, embed, assert_like_local, monkeypatch, tmp_path
):
    """By ``kill -9``, while it writes a part. That part is computed again, and nothing else."""
    marker = tmp_path / "died"
    monkeypatch.setattr(_ray, "Worker", dying(marker, N_PARTS // 2))
    code, message = embed(lines=LINES)
    assert code == 0
    assert len(os.listdir(marker)) == 1
    assert f"{len(LINES)} Docs with" in message
    assert len(parts_of(tmp_path / "out.parquet")) == N_PARTS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["died", "in.txt", "out.parquet"]
    assert_like_local()


@pytest.mark.slow
def test_a_shard_that_kills_every_worker(
    cluster, embed, assert_like_local, monkeypatch, tmp_path, request
):
    marker = tmp_path / "died"
    monkeypatch.setattr(_ray, "RETRIES", 1)
    with monkeypatch.context() as patch:
        patch.setattr(_ray, "Worker", dying(marker, N_PARTS - 1, times=100))
        code, message = embed("--workers", "1", lines=LINES)
    assert code == 1
    assert len(os.listdir(marker)) == 2
    assert f"2 workers died at 'part-{N_PARTS - 1:08}" in message
    assert "Finished shards" in message
    before = parts_of(tmp_path / "out.parquet.partial")
    assert 0 < len(before) < N_PARTS

    request.getfixturevalue("inline")
    code, message = embed()
    assert code == 0
    assert "Docs are done already" in message
    after = parts_of(tmp_path / "out.parquet")
    assert {name: after[name] for name in before} == before
    assert_like_local()
