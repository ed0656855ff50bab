import bz2
import gzip
import json
import lzma
import sys

import h5py
import numpy as np
import pyarrow.parquet
import pytest
import smart_open
import spacy
from helpers import LISTENER, save_tiny_bilm, textcat_pipeline
from spacy.tokens import Doc, DocBin, Span
from srsly.msgpack import Unpacker

from spacy_elmo import BiLM, read_vectors
from spacy_elmo.cli import _outputs

OUTPUTS = (".spacy", ".hdf5", ".parquet")
LINES = ["He sat on the bank. She owes it money!", "", "Hello  world", "Über 😀"]
TOKENS = [
    ["He", "sat", "on", "the", "bank", ".", "She", "owes", "it", "money", "!"],
    [],
    ["Hello", " ", "world"],
    ["Über", "😀"],
]
SENTENCES = [[TOKENS[0][:6], TOKENS[0][6:]], [], [["Hello", "world"]], [TOKENS[3]]]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return save_tiny_bilm(tmp_path_factory.mktemp("embed") / "bilm")


@pytest.fixture(scope="module")
def expected(source):
    """The layers of each line, from the sentences and the gaps that they ought to have."""
    layers = []
    for words, sentences in zip(TOKENS, SENTENCES, strict=True):
        array = np.zeros((3, len(words), 8), dtype="float32")
        at = [i for i, word in enumerate(words) if not word.isspace()]
        if at:
            array[:, at] = np.concatenate(BiLM.load(source).embed(sentences), axis=1)
        layers.append(array)
    return layers


def write_input(path):
    if path.suffix == ".txt":
        path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    elif path.suffix == ".jsonl":
        entries = [{"text": LINES[0]}, {"text": ""}, {"tokens": TOKENS[2], "text": "not this"}]
        lines = [json.dumps(entry) for entry in [*entries, {"tokens": TOKENS[3], "id": 3}]]
        path.write_text("\n\n".join(lines), encoding="utf-8")  # blank lines between them
    else:
        nlp = spacy.blank("en")
        DocBin(docs=[nlp(line) for line in LINES]).to_disk(path)
    return path


def read_output(path, name="layers"):
    """The array of each Doc. A Parquet file has no rows of an empty Doc."""
    if path.suffix == ".hdf5":
        with h5py.File(path) as file:
            assert sorted(file) == sorted(map(str, range(len(file))))
            return [file[str(i)][()] for i in range(len(file))]
    if path.suffix == ".spacy":
        docs = DocBin().from_disk(path).get_docs(spacy.blank("en").vocab)
        return [getattr(doc._.elmo, "layers" if name == "layers" else "mix") for doc in docs]
    table = pyarrow.parquet.read_table(path)
    columns = [f"layer_{i}" for i in range(3)] if name == "layers" else [name]
    assert table.column_names == ["doc", "token", "text", *columns]
    numbers = table["doc"].to_numpy()
    arrays = []
    for number in range(len(TOKENS)):
        rows = table.filter(numbers == number)
        assert rows["token"].to_pylist() == list(range(len(TOKENS[number])))
        assert rows["text"].to_pylist() == TOKENS[number]
        vectors = [
            np.stack(rows[column].to_numpy(zero_copy_only=False))
            if len(rows)
            else np.zeros((0, 8), dtype="float32")
            for column in columns
        ]
        arrays.append(np.stack(vectors) if name == "layers" else vectors[0])
    return arrays


def assert_close(arrays, expected, dtype="float32", atol=2e-6):
    assert len(arrays) == len(expected)
    for array, other in zip(arrays, expected, strict=True):
        assert array.shape == other.shape
        assert array.dtype == dtype or not array.size
        np.testing.assert_allclose(array, other, rtol=0, atol=atol)


@pytest.mark.parametrize("kind", [".txt", ".jsonl", ".spacy"])
@pytest.mark.parametrize("suffix", OUTPUTS)
def test_every_input_and_output(run, source, expected, tmp_path, kind, suffix):
    input, output = write_input(tmp_path / f"in{kind}"), tmp_path / f"out{suffix}"
    code, message = run("embed", input, output, "--source", source)
    assert code == 0
    assert "4 Docs with 16 words" in message
    assert_close(read_output(output), expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"in{kind}", f"out{suffix}"]


@pytest.mark.parametrize("suffix", OUTPUTS)
@pytest.mark.parametrize("layers", ["mix", "top", "1"])
def test_one_vector_a_token(run, source, expected, tmp_path, suffix, layers):
    input, output = write_input(tmp_path / "in.txt"), tmp_path / f"out{suffix}"
    code, _ = run("embed", input, output, "--source", source, "--layers", layers)
    assert code == 0
    if layers == "mix":  # at first the mean
        name, wanted = "mix", [array.mean(axis=0) for array in expected]
    else:
        index = 2 if layers == "top" else 1
        name, wanted = f"layer_{index}", [array[index] for array in expected]
    assert_close(read_output(output, name), wanted)


@pytest.mark.parametrize("suffix", OUTPUTS)
@pytest.mark.parametrize("layers", ["all", "mix"])
def test_half_precision(run, source, expected, tmp_path, suffix, layers):
    input, output = write_input(tmp_path / "in.txt"), tmp_path / f"out{suffix}"
    arguments = ["--source", source, "--layers", layers, "--dtype", "float16"]
    code, _ = run("embed", input, output, *arguments)
    assert code == 0
    name = "layers" if layers == "all" else "mix"
    wanted = expected if layers == "all" else [array.mean(axis=0) for array in expected]
    assert_close(read_output(output, name), wanted, "float16", 1e-3)


def test_the_bundled_bilm_is_the_default(run, tmp_path):
    input, output = write_input(tmp_path / "in.txt"), tmp_path / "out.hdf5"
    code, _ = run("embed", input, output)
    assert code == 0
    (wanted,) = BiLM.load("en_small").embed([TOKENS[3]])
    np.testing.assert_allclose(read_output(output)[3], wanted, rtol=0, atol=1e-5)


def test_a_whole_doc_as_one_sentence(run, source, tmp_path):
    input, output = write_input(tmp_path / "in.txt"), tmp_path / "out.hdf5"
    code, _ = run("embed", input, output, "--source", source, "--whole-doc")
    assert code == 0
    wanted = BiLM.load(source).embed([TOKENS[0]])
    assert_close(read_output(output)[:1], wanted)


@pytest.mark.slow
def test_another_language_cuts_other_words(run, source, tmp_path):
    (tmp_path / "in.txt").write_text("L'eau don't\n")
    lengths = []
    for lang in ("en", "fr", "xx"):
        output = tmp_path / f"{lang}.hdf5"
        code, _ = run("embed", tmp_path / "in.txt", output, "--source", source, "--lang", lang)
        assert code == 0
        (array,) = read_output(output)
        assert array.shape[1] == len(spacy.blank(lang)("L'eau don't"))
        lengths.append(array.shape[1])
    assert len(set(lengths)) > 1


def test_what_a_doc_had_before_is_kept(run, source, tmp_path):
    nlp = spacy.blank("en")
    doc = nlp("He sat")
    doc.set_ents([Span(doc, 0, 1, "PERSON")])
    doc.user_data["mine"] = [1, 2]
    DocBin(docs=[doc], store_user_data=True).to_disk(tmp_path / "in.spacy")
    run("embed", tmp_path / "in.spacy", tmp_path / "out.spacy", "--source", source)
    (doc,) = DocBin().from_disk(tmp_path / "out.spacy").get_docs(nlp.vocab)
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("He", "PERSON")]
    assert list(doc.user_data["mine"]) == [1, 2]
    assert read_vectors(doc).name == "elmo"
    assert doc[1]._.elmo.shape == (8,)


def test_row_groups_are_small(run, source, tmp_path, monkeypatch):
    monkeypatch.setattr(_outputs, "ROWS", 4)
    input, output = write_input(tmp_path / "in.txt"), tmp_path / "out.parquet"
    run("embed", input, output, "--source", source)
    metadata = pyarrow.parquet.read_metadata(output)
    assert [metadata.row_group(i).num_rows for i in range(4)] == [4, 4, 3, 4]
    assert metadata.num_row_groups == 5
    assert metadata.num_rows == 16


@pytest.mark.parametrize("kind", [".txt", ".jsonl", ".spacy"])
@pytest.mark.parametrize("suffix", OUTPUTS)
def test_an_input_without_docs(run, source, tmp_path, kind, suffix):
    input, output = tmp_path / f"in{kind}", tmp_path / f"out{suffix}"
    if kind == ".spacy":
        DocBin().to_disk(input)
    else:
        input.write_text("")
    code, message = run("embed", input, output, "--source", source)
    assert code == 0
    assert "0 Docs with 0 words" in message
    if suffix == ".parquet":
        assert pyarrow.parquet.read_table(output).num_rows == 0
    else:
        assert read_output(output) == []


@pytest.mark.parametrize("compression", [".gz", ".bz2", ".xz", ".zst"])
def test_compressed_text(run, source, expected, tmp_path, compression):
    plain = write_input(tmp_path / "in.txt").read_bytes()
    input, output = tmp_path / f"in.txt{compression}", tmp_path / "out.hdf5"
    if compression == ".zst":
        with smart_open.open(input, "wb") as file:
            file.write(plain)
    else:
        input.write_bytes({".gz": gzip, ".bz2": bz2, ".xz": lzma}[compression].compress(plain))
    assert input.read_bytes() != plain
    code, _ = run("embed", input, output, "--source", source)
    assert code == 0
    assert_close(read_output(output), expected)


def test_text_of_a_url(run, source, expected, tmp_path, serve):
    server = serve({"in.txt": write_input(tmp_path / "in.txt").read_bytes()})
    output = tmp_path / "out.hdf5"
    code, _ = run("embed", f"{server.url}/in.txt", output, "--source", source)
    assert code == 0
    assert_close(read_output(output), expected)


def test_a_trained_pipeline(run, source, expected, tmp_path):
    """Its own mix, here doubled, is taken; the text classifier behind it doesn't run."""
    nlp, _ = textcat_pipeline(source, LISTENER)
    nlp.get_pipe("elmo").mix.set_param("gamma", np.array([2], dtype="float32"))
    nlp.to_disk(tmp_path / "pipeline")
    input = write_input(tmp_path / "in.txt")
    for layers in ("all", "mix"):
        output = tmp_path / f"{layers}.spacy"
        code, _ = run("embed", input, output, "--model", tmp_path / "pipeline", "--layers", layers)
        assert code == 0
        assert_close(read_output(output, "mix"), [2 * array.mean(axis=0) for array in expected])
        docs = DocBin().from_disk(output).get_docs(nlp.vocab)
        assert [doc.cats for doc in docs] == [{}, {}, {}, {}]
    assert_close(read_output(tmp_path / "all.spacy"), expected)


@pytest.mark.parametrize(
    "option",
    [["--source", "en_small"], ["--lang", "en"], ["--precision", "float32"], ["--whole-doc"]],
)
def test_a_trained_pipeline_brings_its_own_settings(run, tmp_path, option):
    input = write_input(tmp_path / "in.txt")
    code, message = run("embed", input, tmp_path / "out.hdf5", "--model", "some", *option)
    assert code == 1
    assert "--model brings its own" in message


def test_a_pipeline_without_elmo(run, tmp_path):
    spacy.blank("en").to_disk(tmp_path / "pipeline")
    input = write_input(tmp_path / "in.txt")
    code, message = run("embed", input, tmp_path / "out.hdf5", "--model", tmp_path / "pipeline")
    assert code == 1
    assert "Expected one 'elmo' component" in message
    assert "found 0" in message


def test_of_several_components_the_one_named_elmo(run, source, expected, tmp_path):
    nlp = spacy.blank("en")
    other = save_tiny_bilm(tmp_path / "other", seed=1)
    nlp.add_pipe("elmo", config={"model": {"source": source}})
    nlp.add_pipe("elmo", name="second", config={"model": {"source": other}})
    nlp.initialize()
    nlp.to_disk(tmp_path / "pipeline")
    input, output = write_input(tmp_path / "in.txt"), tmp_path / "out.hdf5"
    code, _ = run("embed", input, output, "--model", tmp_path / "pipeline")
    assert code == 0
    assert_close(read_output(output), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in.txt", "out.npz"], "ends in .spacy, .hdf5, .parquet"),
        (["in.csv", "out.hdf5"], "ends in .txt, .jsonl or .spacy"),
        (["in.spacy.gz", "out.hdf5"], "ends in .txt, .jsonl or .spacy"),
        (["nowhere.txt", "out.hdf5"], "No such file"),
        (["nowhere.spacy", "out.hdf5"], "Check the path of the texts"),
        (["in.txt", "out.hdf5", "--layers", "3"], "a number from 0 to 2"),
        (["in.txt", "out.hdf5", "--layers", "-1"], "a number from 0 to 2"),
        (["in.txt", "out.hdf5", "--layers", "some"], "a number from 0 to 2"),
        (["in.txt", "out.hdf5", "--precision", "float8"], "precision"),
        (["in.txt", "out.hdf5", "--source", "nowhere"], "Can't find the biLM 'nowhere'"),
        (["in.txt", "out.hdf5", "--model", "nowhere"], "E050"),
        (["in.txt", "out.hdf5", "--lang", "none"], "E048"),
        (["in.txt", "folder.hdf5"], "is a directory"),
        (["in.txt", "in.txt/out.hdf5"], "Can't embed"),
    ],
)
def test_what_cannot_be_done(run, source, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    write_input(tmp_path / "in.txt")
    (tmp_path / "in.csv").write_text("a")
    (tmp_path / "folder.hdf5").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    if "--source" not in arguments and "--model" not in arguments:
        arguments = [*arguments, "--source", source]
    code, output = run("embed", *arguments)
    assert code == 1
    assert message in output
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_an_existing_output_is_replaced_only_by_force(run, source, expected, tmp_path):
    input, output = write_input(tmp_path / "in.txt"), tmp_path / "out.hdf5"
    output.write_text("mine")
    code, message = run("embed", input, output, "--source", source)
    assert code == 1
    assert "--force" in message
    assert output.read_text() == "mine"
    code, _ = run("embed", input, output, "--source", source, "--force")
    assert code == 0
    assert_close(read_output(output), expected)


def test_packages_that_are_missing_are_named(run, source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    input = write_input(tmp_path / "in.txt")
    code, message = run("embed", input, tmp_path / "out.parquet", "--source", source)
    assert code == 1
    assert "spacy-elmo[parquet]" in message
    monkeypatch.setitem(sys.modules, "backports", None)
    (tmp_path / "in.txt.zst").write_bytes(b"")
    code, message = run("embed", tmp_path / "in.txt.zst", tmp_path / "o.hdf5", "--source", source)
    assert code == 1
    assert "spacy-elmo[zst]" in message


def test_docs_of_another_pipeline_can_be_read_without_one(run, source, expected, tmp_path):
    """The extension is there with the package, and the strings come with the DocBin."""
    run("embed", write_input(tmp_path / "in.txt"), tmp_path / "out.spacy", "--source", source)
    docs = list(DocBin().from_disk(tmp_path / "out.spacy").get_docs(spacy.vocab.Vocab()))
    assert all(isinstance(doc, Doc) for doc in docs)
    assert [[token.text for token in doc] for doc in docs] == TOKENS
    np.testing.assert_allclose(docs[3][1]._.elmo, expected[3].mean(axis=0)[1], rtol=0, atol=2e-6)


def test_a_shard_may_be_larger_than_msgpacks_default_limit(run, source, tmp_path, monkeypatch):
    limits = []

    class Spy(Unpacker):
        def __init__(self, *args, **kwargs):
            limits.append(kwargs["max_buffer_size"])
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(_outputs, "Unpacker", Spy)
    (tmp_path / "in.txt").write_text("A bank")
    code, _ = run("embed", tmp_path / "in.txt", tmp_path / "out.spacy", "--source", source)
    assert code == 0
    assert len(limits) == 1
    assert limits[0] > 2**40
