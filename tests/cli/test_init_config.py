"""Configs for every component and language: accepted by spaCy, and trained for two steps."""

import sys
from pathlib import Path

import numpy as np
import pytest
import spacy
from annotated_texts import TEXTS, annotate
from helpers import WIDTH, save_tiny_bilm
from spacy.cli.debug_config import debug_config
from spacy.cli.train import train
from spacy.kb import InMemoryLookupKB
from spacy.tokens import DocBin
from spacy.training import Example
from spacy.util import load_config, load_config_from_str, load_model_from_config
from spacy.vectors import Vectors
from typer.testing import CliRunner

from spacy_elmo.cli import elmo_cli
from spacy_elmo.layers import ElmoListener

CONFIGS = Path(__file__).parent.parent.parent / "configs"
COMPONENTS = [
    "tagger",
    "morphologizer",
    "trainable_lemmatizer",
    "parser",
    "beam_parser",
    "senter",
    "ner",
    "beam_ner",
    "span_finder",
    "spancat",
    "spancat_singlelabel",
    "textcat",
    "textcat_multilabel",
    "entity_linker",
]
LANG = "xx"  # its tokenizer is made at once


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With a tiny biLM, a corpus, a knowledge base, and static vectors of width 7."""
    folder = tmp_path_factory.mktemp("data")
    save_tiny_bilm(folder / "bilm")
    nlp = spacy.blank(LANG)
    docs = [annotate(nlp, text) for text in TEXTS * 3]
    DocBin(docs=docs, store_user_data=True).to_disk(folder / "corpus.spacy")
    kb = InMemoryLookupKB(nlp.vocab, entity_vector_length=3)
    for name in sorted({ent.kb_id_ for doc in docs for ent in doc.ents}):
        for number in (0, 1):  # with one candidate, nothing would be computed
            kb.add_entity(name + "2" * number, freq=1, entity_vector=[number, 1, 0])
        kb.add_alias(name, [name, name + "2"], [0.6, 0.4])
    kb.to_disk(folder / "kb")
    words = sorted({word for text in TEXTS for word in text.split()})
    data = np.random.default_rng(0).normal(size=(len(words), 7)).astype("float32")
    nlp.vocab.vectors = Vectors(strings=nlp.vocab.strings, data=data, keys=words)
    nlp.to_disk(folder / "vectors")
    return folder


@pytest.fixture
def make(run, folder, tmp_path):
    """Writes a config and gives its path."""

    def call(pipeline, *arguments):
        path = tmp_path / "out.cfg"
        source = ["--source", folder / "bilm"]
        code, output = run("init-config", path, "-l", LANG, "-p", pipeline, *source, *arguments)
        assert code == 0, output
        return path

    return call


def train_two_steps(path, folder):
    """The trained pipeline. ``spacy debug config`` has accepted the config before."""
    corpus = str(folder / "corpus.spacy")
    overrides = {"paths.train": corpus, "paths.dev": corpus}
    config = load_config(path)
    if "kb" in config["paths"]:
        overrides["paths.kb"] = str(folder / "kb")
    debug_config(path, overrides=overrides)
    for name in config["components"]:
        if name.endswith("parser"):  # so few texts have rare labels only
            overrides[f"components.{name}.min_action_freq"] = 1
    overrides |= {"training.max_steps": 2, "training.eval_frequency": 2}
    train(path, path.parent / "out", overrides=overrides)
    return spacy.load(path.parent / "out" / "model-last")


def listeners_of(nlp):
    nodes = [
        node for _, pipe in nlp.pipeline if hasattr(pipe, "model") for node in pipe.model.walk()
    ]
    return [node for node in nodes if isinstance(node, ElmoListener)]


@pytest.mark.slow
@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_trains(make, folder, component):
    nlp = train_two_steps(make(component), folder)
    assert nlp.pipe_names[:2] == ["elmo", "tok2vec"] and nlp.pipe_names[-1] == component
    golds = [annotate(nlp, text) for text in TEXTS]
    scores = nlp.evaluate([Example(nlp.make_doc(gold.text), gold) for gold in golds])
    weights = nlp.config["training"]["score_weights"]
    assert [name for name, weight in weights.items() if weight]
    assert all(scores[name] is not None for name, weight in weights.items() if weight)
    [listener] = listeners_of(nlp)
    # The component's gradients have come as far as the mix.
    assert np.abs(listener.layers[0].get_param("s")).max() > 1e-4
    assert nlp(TEXTS[0])._.elmo.layers.shape == (3, 6, WIDTH)


@pytest.mark.slow
@pytest.mark.parametrize("pipeline", ["ner,textcat", "parser,ner,entity_linker"])
def test_several_components_train_for_speed_and_with_vectors(make, folder, pipeline):
    arguments = ["-o", "speed", "--vectors", folder / "vectors"]
    nlp = train_two_steps(make(pipeline, *arguments), folder)
    assert nlp.pipe_names == ["elmo", "tok2vec", *pipeline.split(",")]
    assert len(nlp.get_pipe("tok2vec").listeners) == len(pipeline.split(","))
    nodes = nlp.get_pipe("tok2vec").model.walk()
    [static] = [node for node in nodes if node.name == "static_vectors"]
    assert static.get_dim("nM") == 7
    assert nlp.config["components"]["elmo"]["model"]["precision"] == "int8"


def test_accuracy_is_what_the_config_that_comes_with_the_package_does(run, tmp_path):
    """Down to every setting of biLM, listeners, network and training, but for the scores."""
    names = ["tagger", "morphologizer", "trainable_lemmatizer", "parser"]
    arguments = ["-l", LANG, "-p", ",".join(names), "--source", "en_small"]
    code, _ = run("init-config", tmp_path / "out.cfg", *arguments)
    assert code == 0
    made = load_config(tmp_path / "out.cfg")
    # What it leaves to defaults is filled in.
    shipped = load_config(CONFIGS / "tagger_parser.cfg", overrides={"nlp.lang": LANG})
    shipped = load_model_from_config(shipped, auto_fill=True).config
    assert made["nlp"] == shipped["nlp"]
    for name in ("elmo", "tok2vec"):
        assert made["components"][name] == shipped["components"][name]
    for name in names:
        listener = shipped["components"][name]["model"]["tok2vec"]
        assert made["components"][name]["model"]["tok2vec"] == listener
    for config in (made, shipped):
        assert config["training"].pop("score_weights").keys() >= {"tag_acc", "dep_las"}
    assert made["training"] == shipped["training"]


def test_sections_that_belong_together_stand_together(make):
    sections = [line for line in make("ner").read_text().splitlines() if line.startswith("[")]
    tops = [name.strip("[]").split(".")[0] for name in sections]
    firsts = list(dict.fromkeys(tops))
    assert firsts[:5] == ["paths", "vars", "system", "nlp", "components"]
    assert tops == sorted(tops, key=firsts.index)
    at = sections.index("[components.ner.model]")
    assert sections[at : at + 2] == ["[components.ner.model]", "[components.ner.model.tok2vec]"]


@pytest.mark.parametrize(
    ("lang", "source", "tokenizer"),
    [
        ("en", "en_small", "spacy.Tokenizer.v1"),
        ("deu", "many_langs/de", "spacy.Tokenizer.v1"),
        ("zh", "many_langs/zh", "spacy.zh.ChineseTokenizer"),
    ],
)
def test_a_language_has_its_bilm_and_its_tokenizer(run, tmp_path, lang, source, tokenizer):
    code, output = run("init-config", tmp_path / "out.cfg", "-l", lang, "-p", "ner")
    assert code == 0 and "English" not in output
    config = load_config(tmp_path / "out.cfg")
    assert config["nlp"]["lang"] == {"deu": "de"}.get(lang, lang)
    assert config["nlp"]["tokenizer"]["@tokenizers"] == tokenizer
    assert config["components"]["elmo"]["model"]["source"] == source


def test_a_language_without_a_bilm_has_the_english_one_and_is_told(tmp_path):
    """On standard error: standard output is the config, and nothing else."""
    result = CliRunner().invoke(elmo_cli, ["init-config", "-", "-l", "lb", "-p", "ner"])
    assert result.exit_code == 0
    assert "has read English" in result.stderr and "--source" in result.stderr
    config = load_config_from_str(result.stdout)
    assert config["nlp"]["lang"] == "lb"
    assert config["components"]["elmo"]["model"]["source"] == "en_small"


def test_an_entity_linker_has_sentences_and_a_knowledge_base(make):
    config = load_config(make("ner,entity_linker"))
    assert config["nlp"]["pipeline"] == ["elmo", "tok2vec", "ner", "sentencizer", "entity_linker"]
    assert config["training"]["annotating_components"] == ["sentencizer"]
    assert not config["training"]["score_weights"]["sents_f"]
    loader = config["initialize"]["components"]["entity_linker"]["kb_loader"]
    assert loader["kb_path"] == "${paths.kb}"


def test_the_command_to_go_on_with_is_printed(run, folder, tmp_path):
    for pipeline, end in (("ner", "DATA.spacy"), ("entity_linker", "--paths.kb KB")):
        path = tmp_path / f"{pipeline}.cfg"
        arguments = ["-l", LANG, "-p", pipeline, "--source", folder / "bilm"]
        _, output = run("init-config", path, *arguments)
        assert f"python -m spacy train {path} --output" in output and output.endswith(end)


def test_sentences_of_a_trained_component_come_from_what_it_listens_to(make):
    config = load_config(make("senter,entity_linker"))
    assert config["nlp"]["pipeline"] == ["elmo", "tok2vec", "senter", "entity_linker"]
    assert config["training"]["annotating_components"] == ["elmo", "tok2vec", "senter"]
    assert config["training"]["score_weights"]["sents_f"] == 0.5


def test_names_that_are_added_anyway_stand_once(make):
    config = load_config(make("elmo,sentencizer,tok2vec,ner"))
    assert config["nlp"]["pipeline"] == ["elmo", "tok2vec", "sentencizer", "ner"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["-l", LANG, "-p", "ner,nothing"], ["no component 'nothing'", *COMPONENTS]),
        (["-l", LANG, "-p", "ner,tagger,ner"], ["ner is named more than once"]),
        (["-l", LANG, "-p", "sentencizer"], ["None of 'sentencizer'", *COMPONENTS]),
        (["-l", LANG, "-p", ""], ["None of ''", *COMPONENTS]),
        (["-l", LANG, "-p", "entity_linker,parser"], ["after parser"]),
        (["-l", "qq"], ["no language 'qq'", "de", "xx"]),
        (["-l", "punctuation"], ["no language 'punctuation'"]),
        (["-l", ""], ["no language ''"]),
        (["--source", "nowhere"], ["the biLM 'nowhere'", "en_small"]),
        (["--copy", "nothing"], ["no config 'nothing'", "ner", "tagger_parser", "pretrain"]),
        (["--copy", "ner", "-l", "de"], ["leave out --lang"]),
    ],
)
def test_errors_name_what_there_is(run, tmp_path, arguments, named):
    code, output = run("init-config", tmp_path / "out.cfg", *arguments)
    assert code == 1
    assert all(name in output for name in named)
    assert not list(tmp_path.iterdir())


def test_the_choices_are_the_components_that_are_tested_here(run, tmp_path):
    _, output = run("init-config", tmp_path / "out.cfg", "-l", LANG, "-p", "")
    choices = output.partition("listen to ELMo: ")[2].rstrip(". ").split(", ")
    assert choices == sorted(COMPONENTS)


def test_a_package_that_a_language_needs_is_named(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sudachipy", None)
    code, output = run("init-config", tmp_path / "out.cfg", "-l", "ja")
    assert code == 1 and "sudachipy" in output


def test_nothing_is_fetched(run, tmp_path, cache):
    url = "https://localhost:1/nothing.zip"
    arguments = ["-l", LANG, "-p", "ner", "--source", url]
    code, _ = run("init-config", tmp_path / "out.cfg", *arguments)
    assert code == 0
    assert load_config(tmp_path / "out.cfg")["components"]["elmo"]["model"]["source"] == url
    assert not list(cache.iterdir())


def test_an_existing_file_stays_without_force(run, tmp_path):
    path = tmp_path / "out.cfg"
    path.write_text("mine")
    code, output = run("init-config", path, "--copy", "ner")
    assert code == 1 and "--force" in output
    assert path.read_text() == "mine"
    assert run("init-config", path, "--copy", "ner", "--force")[0] == 0
    assert path.read_bytes() == (CONFIGS / "ner.cfg").read_bytes()
    code, output = run("init-config", tmp_path, "--copy", "ner", "--force")
    assert code == 1 and "is a directory" in output


@pytest.mark.parametrize("name", [path.stem for path in CONFIGS.glob("*.cfg")])
def test_copies_of_what_comes_with_the_package(run, tmp_path, name):
    path = tmp_path / "new" / "out.cfg"
    code, output = run("init-config", path, "--copy", name)
    assert code == 0
    assert path.read_bytes() == (CONFIGS / f"{name}.cfg").read_bytes()
    assert ("spacy elmo pretrain" if name == "pretrain" else "spacy train") in output
    assert (
        CliRunner().invoke(elmo_cli, ["init-config", "-", "--copy", name]).stdout
        == path.read_text()
    )
