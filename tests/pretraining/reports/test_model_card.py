import re
from dataclasses import replace

import numpy as np
import pytest

from spacy_elmo import BiLM
from spacy_elmo.cli._card import find_licence
from spacy_elmo.formats import read_native, write_native
from spacy_elmo.pretraining.reports.model_card import (
    CardFacts,
    CorpusFacts,
    HeldOutFacts,
    model_card,
    software_versions,
    write_model_card,
)


@pytest.fixture
def record(make_network):
    corpus = CorpusFacts(
        files=[
            ("/home/ada/corpora/news.txt.gz", 23_041_000),
            ("https://example.org/texts/books.jsonl?token=secret#part", 1500),
            ("C:\\corpora\\laws.txt", None),
        ],
        n_sentences=100_000,
        n_tokens=2_000_000,
        n_distinct_words=81_234,
    )
    held_out = CorpusFacts(
        files=[("/home/ada/corpora/heldout.txt", 512)],
        n_sentences=1500,
        n_tokens=40_000,
        n_distinct_words=7_000,
    )
    return CardFacts(
        name="my_bilm",
        lang="en",
        span_getter="spacy-elmo.sentences.v1",
        config=make_network(cell_clip=3.0).config,
        n_parameters=3_012_345,
        vocabulary_size=72_822,
        corpus=corpus,
        n_trained=5_000_000,
        seconds=9067.2,
        settings={
            "Optimizer": "Adam",
            "Learning rate": 0.002,
            "Tokens a window": 20,
            "Samples": 8192,
            "Gradient norm": None,
            "Mixed precision": False,
            "Schedule": "warm-up | cosine",
        },
        held_out=HeldOutFacts(held_out, 337.04, 361.2, n_unknown=1300, stateful=False),
        licence="MIT",
        versions={"spacy-elmo": "0.1.0", "torch": "2.13.0", "Python": "3.11.9"},
    )


def rows(card):
    """The rows of a card's tables, by name."""
    found = re.findall(r"^\| ([^|]+) \| (.+) \|$", card, re.MULTILINE)
    assert len(dict(found)) == len(found)
    return dict(found)


@pytest.mark.parametrize(
    ("row", "facts"),
    [
        ("Architecture", "relu; 3·1, 4·2, 5·3; 1 highway; 2 LSTM; 7 cells; clipped at 3"),
        ("Layers", "3; 10"),
        ("Parameters", "3,012,345"),
        ("Tokenization", "en; spacy-elmo.sentences.v1"),
        ("Training text", "100,000; 2,000,000; 81,234"),
        ("Vocabulary", "72,822"),
        ("Trained on", "5M; 2.50 epochs"),
        ("Time", "2:31:07"),
        # 1,300 of 40,000 tokens are unknown
        ("Held-out perplexity", "337.0 forward; 361.2 backward; 72,822; 1,500; 40,000; 3.2%"),
        ("Held-out perplexity", "zero state"),
        ("Software", "spacy-elmo 0.1.0; torch 2.13.0; Python 3.11.9"),
        ("Licence", "MIT"),
    ],
)
def test_what_is_known_of_a_run_stands_in_its_row(record, row, facts):
    told = rows(model_card(record))[row]
    for fact in facts.split("; "):
        assert re.search(rf"(?<![\d,.]){re.escape(fact)}(?!\d)", told), fact


def test_every_setting_has_a_row(record):
    """Numbers, words, nothing, yes or no; and what would end a cell doesn't."""
    card = model_card(record)
    assert card.startswith("# my_bilm\n")
    table = rows(card)
    assert record.settings.keys() <= table.keys()
    assert (table["Optimizer"], table["Learning rate"]) == ("Adam", "0.002")
    assert (table["Samples"], table["Tokens a window"]) == ("8,192", "20")
    assert (table["Gradient norm"], table["Mixed precision"]) == ("none", "no")
    assert table["Schedule"] == "warm-up \\| cosine"


def test_files_are_named_without_their_places(record):
    card = model_card(replace(record, started_from="/home/ada/bilms/first"))
    for line in [
        "- `news.txt.gz`, 23.0 MB",
        "- `books.jsonl`, 1.5 KB",
        "- `laws.txt`",
        "- `heldout.txt`, 512 bytes",
    ]:
        assert line in card.splitlines()
    assert rows(card)["Started from"] == "`first`"
    assert not re.search("ada|corpora|secret|example", card)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("en_small", "en_small"),
        ("allennlp/original", "allennlp/original"),
        ("../bilms/first/", "first"),
        ("https://example.org/first.zip#sha256=00", "first.zip"),
        ("hf:me/first@v1", "hf:me/first@v1"),
    ],
)
def test_what_training_started_from(record, source, name):
    assert rows(model_card(replace(record, started_from=source)))["Started from"] == f"`{name}`"


def test_a_corpus_of_many_files(record):
    files = [(f"part-{i:04}.txt", 1_000_000) for i in range(1020)]
    card = model_card(replace(record, corpus=replace(record.corpus, files=files)))
    assert "- `part-0019.txt`, 1.0 MB\n- and 1,000 more, 1.0 GB\n" in card
    assert "part-0020" not in card


def test_what_is_not_there_is_left_out(record):
    card = model_card(replace(record, held_out=None, licence=None))
    assert rows(card)["Held-out perplexity"] == "not measured"
    assert "## Held-out text" not in card
    assert not {"Licence", "Started from"} & set(rows(card))


def test_a_carried_state_and_other_shapes(record, make_network):
    network = make_network(n_layers=1, n_highway=2, skip_connections=False)
    held_out = replace(record.held_out, stateful=True)
    table = rows(model_card(replace(record, config=network.config, held_out=held_out)))
    assert "the state carried on" in table["Held-out perplexity"]
    assert "2 highway layers" in table["Architecture"]
    assert "1 LSTM layer a direction" in table["Architecture"]
    assert table["Architecture"].endswith("no skip connections, no clips")


def test_a_bilm_with_a_lexicon(record, fixtures):
    config = BiLM.load(fixtures / "many_langs_char_word").config
    card = model_card(replace(record, config=config))
    assert f"embeddings of {config.char_cnn.characters.dim};" in rows(card)["Architecture"]


def test_the_same_card_for_the_same_record(record, tmp_path):
    path = tmp_path / "model-last" / "README.md"
    write_model_card(record, path)
    assert path.read_bytes() == model_card(record).encode("utf-8")
    assert [file.name for file in path.parent.iterdir()] == ["README.md"]


def test_the_licence_is_found_in_it(record, tmp_path):
    write_model_card(replace(record, licence="CC BY 4.0"), tmp_path / "README.md")
    assert find_licence(tmp_path) == "CC BY 4.0"


def test_how_to_load_it(record, make_network, tmp_path, monkeypatch):
    """The card's own lines are run beside the biLM that it is the card of."""
    network = make_network()
    write_native(network, tmp_path / "my_bilm")
    write_model_card(record, tmp_path / "my_bilm" / "README.md")
    card = (tmp_path / "my_bilm" / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    assert [layers.shape for layers in names["layers"]] == [(3, 2, 10), (3, 1, 10)]
    assert 'source = "./my_bilm"' in card
    for name, array in read_native(tmp_path / "my_bilm").state_dict().items():
        assert np.array_equal(array, network.state_dict()[name])


def test_software_versions():
    import spacy
    import torch

    versions = software_versions()
    assert versions["spacy"] == spacy.__version__
    assert versions["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert set(versions) == {"spacy-elmo", "torch", "spacy", "numpy", "Python"}
