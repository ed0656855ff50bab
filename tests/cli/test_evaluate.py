import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from spacy_elmo import BiLM
from spacy_elmo.formats import SoftmaxWeights, read_softmax
from spacy_elmo.pretraining.corpus.vocabulary import Vocabulary
from spacy_elmo.pretraining.evaluation.perplexity import perplexity

TEXT = "He sat on the bank. She left.\n\nThe bank lends money!\n"
SENTENCES = [
    ["He", "sat", "on", "the", "bank", "."],
    ["She", "left", "."],
    ["The", "bank", "lends", "money", "!"],
]
WORDS = ("</S>", "<S>", "<UNK>", ".", "the", "bank", "left")


@pytest.fixture
def text(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path / "text.txt"


@pytest.fixture
def bilm(make_network, tmp_path):
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(7, 5, generator=generator), torch.randn(7, generator=generator)
    bilm = BiLM(make_network())
    bilm.save(tmp_path / "bilm", softmax=SoftmaxWeights(WORDS, weight, bias))
    bilm.save(tmp_path / "hdf5" / "w.hdf5", format="hdf5")
    return tmp_path / "bilm"


class Model:
    def __init__(self, source):
        self.network = BiLM.load(source).network
        self.softmax = read_softmax(source)
        self.vocabulary = Vocabulary(self.softmax.words)


@pytest.fixture
def expected(bilm):
    """Perplexities from zeros and carried on."""
    return [perplexity(Model(bilm), SENTENCES, stateful=stateful) for stateful in (False, True)]


def read_json(output):
    """Behind it stands the bar of the tokenization, which goes to the other stream."""
    return json.loads(output[output.index("{") : output.rindex("}") + 1])


def test_a_table(run, bilm, text, expected):
    zeros, carried = expected
    code, output = run("evaluate", bilm, text)
    assert code == 0
    assert f"Perplexity forward {zeros.forward:.2f} {carried.forward:.2f}" in output
    assert f"Perplexity backward {zeros.backward:.2f} {carried.backward:.2f}" in output
    assert f"Geometric mean {zeros.both:.2f} {carried.both:.2f}" in output
    assert "Words a second" in output
    assert "3 sentences, 14 words" in output
    assert "Out of vocabulary 8 words, 57.14%" in output
    assert "Vocabulary 7 words" in output


def test_json(run, bilm, text, expected):
    code, output = run("evaluate", bilm, text, "--json")
    assert code == 0
    results = read_json(output)
    assert results["n_sentences"] == 3
    assert results["n_words"] == 14
    assert results["n_unknown"] == 8
    assert results["vocabulary_size"] == 7
    for state, result in zip(("zero", "carried"), expected, strict=True):
        measured = results["perplexity"][state]
        assert measured["forward"] == pytest.approx(result.forward, rel=1e-6)
        assert measured["backward"] == pytest.approx(result.backward, rel=1e-6)
        assert measured["words_per_second"] > 0
    assert results["neighbours"] == []


def test_help_says_how_the_text_is_cut(run):
    _, output = run("evaluate", "--help")
    assert "cut into sentences by spacy-elmo.sentences.v1" in output


def test_several_texts_of_other_forms(run, bilm, text, tmp_path):
    (tmp_path / "more.jsonl").write_text('{"text": "the bank"}\n{"tokens": ["left", "."]}\n')
    code, output = run("evaluate", bilm, text, tmp_path / "more.jsonl", "--json")
    assert code == 0
    results = read_json(output)
    assert results["n_sentences"] == 5
    assert results["n_words"] == 18
    assert results["n_unknown"] == 8


def test_the_first_sentences(run, bilm, text):
    _, output = run("evaluate", bilm, text, "--sentences", 2, "--json")
    results = read_json(output)
    assert results["n_sentences"] == 2
    assert results["n_words"] == 9


def test_streams(run, bilm, text):
    """As many as there are sentences: each starts from zeros."""
    _, output = run("evaluate", bilm, text, "--streams", 3, "--json")
    results = read_json(output)["perplexity"]
    assert results["carried"]["forward"] == pytest.approx(results["zero"]["forward"], rel=1e-6)


def test_without_a_softmax_it_says_so(run, bilm, text, tmp_path):
    code, output = run("evaluate", tmp_path / "hdf5", text)
    assert code == 1
    assert "has no softmax" in output
    assert "--words" in output


@pytest.mark.slow
def test_words_in_context(run, bilm, text, tmp_path):
    for source in (bilm, tmp_path / "hdf5"):
        code, output = run("evaluate", source, text, "--words", "bank, money")
        assert code == 0
        assert "He sat on the [bank] . layer 1" in output
        assert "The [bank] lends money ! layer 1" in output
        assert "'money' is in fewer than two different sentences" in output
        assert ("has no softmax" in output) == (source != bilm)
        code, output = run("evaluate", source, text, "--words", "bank", "--json")
        results = read_json(output)
        assert (results["perplexity"] is None) == (source != bilm)
        first, second = results["neighbours"]
        assert (first["words"], first["position"]) == (SENTENCES[0], 4)
        ((nearest,), _) = first["layers"]
        assert (nearest["words"], nearest["position"]) == (SENTENCES[2], 1)
        assert nearest["cosine"] == pytest.approx(second["layers"][0][0]["cosine"])


def test_long_sentences_are_shown_in_part(run, bilm, tmp_path):
    line = " ".join(f"w{i}" for i in range(30))
    (tmp_path / "t.txt").write_text(f"{line} bank {line}\nThe bank\n")
    _, output = run("evaluate", bilm, tmp_path / "t.txt", "--words", "bank")
    assert "… w22 w23 w24 w25 w26 w27 w28 w29 [bank] w0 w1 w2 w3 w4 w5 w6 w7 …" in output


@pytest.mark.slow
def test_a_checkpoint_of_bilm_tf(run, fixtures, text, tmp_path):
    pytest.importorskip("tensorflow", exc_type=ImportError)
    folder = fixtures / "tensorflow_checkpoint"
    for name in ("model.ckpt-60.index", "model.ckpt-60.data-00000-of-00001", "options.json"):
        shutil.copy(folder / name, tmp_path)
    checkpoint = tmp_path / "model.ckpt-60"
    code, output = run("evaluate", checkpoint, text)
    assert code == 1
    assert "--vocabulary" in output
    code, output = run("evaluate", checkpoint, text, "--vocabulary", folder / "vocab.txt", "--json")
    assert code == 0
    # A biLM that had learned nothing would choose among all words of the vocabulary.
    assert 1 < read_json(output)["perplexity"]["zero"]["forward"] < 177


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "TEXT"], "Can't find the biLM 'nowhere'"),
        (["BILM", "nowhere.txt"], "nowhere.txt"),
        (["BILM", "EMPTY"], "There are no words in"),
        (["BILM", "TEXT", "--lang", "zz"], "zz"),
    ],
)
def test_what_is_not_there(run, bilm, text, tmp_path, arguments, message):
    (tmp_path / "empty.txt").write_text("\n\n")
    names = {"BILM": bilm, "TEXT": text, "EMPTY": tmp_path / "empty.txt"}
    code, output = run("evaluate", *(names.get(name, name) for name in arguments))
    assert code == 1
    assert "Can't evaluate" in output
    assert message in output


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu(run, bilm, text):
    code, output = run("evaluate", bilm, text, "--gpu-id", 0)
    assert code == 1
    assert "no GPU" in output


def test_a_softmax_over_words_without_boundaries(run, bilm, text):
    words = (bilm / "vocabulary.txt").read_text().replace("<UNK>", "unk")
    (bilm / "vocabulary.txt").write_text(words)
    # Without its digest, as others write it: another vocabulary than the one it was written with
    # would be refused for that.
    save_file(load_file(bilm / "softmax.safetensors"), bilm / "softmax.safetensors")
    code, output = run("evaluate", bilm, text)
    assert code == 1
    assert "<UNK>" in output


def test_per_word(run, bilm, text):
    code, output = run("evaluate", bilm, text, "--per-word", "--substitutes", "2")
    assert code == 0
    objects = output[output.index("{") :].replace('} {"words"', '}, {"words"')
    lines = json.loads(f"[{objects}]")
    assert [line["words"] for line in lines] == SENTENCES
    model = BiLM.load(bilm)
    for line, surprisal in zip(lines, model.surprisal(SENTENCES), strict=True):
        assert line["forward"] == surprisal.forward.tolist()
        assert line["backward"] == surprisal.backward.tolist()
        assert line["perplexity"] == surprisal.perplexity
    for line, places in zip(lines, model.substitutes(SENTENCES, 2), strict=True):
        assert [[each["word"] for each in place] for place in line["substitutes"]] == [
            [each.word for each in place] for place in places
        ]


def test_per_word_without_a_softmax(run, bilm, text):
    code, output = run(
        "evaluate", bilm.parent / "hdf5" / "w.hdf5", text, "--per-word", "-w", "bank"
    )
    assert code == 1
    assert "has no softmax" in output


def test_substitutes_are_of_words(run, bilm, text):
    code, output = run("evaluate", bilm, text, "--substitutes", "2")
    assert code == 1
    assert "--per-word" in output
