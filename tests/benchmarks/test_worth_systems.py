"""What the systems' configs are, without training."""

from pathlib import Path

import pytest
import spacy
from spacy.cli.debug_config import debug_config
from spacy.tokens import DocBin, Span
from spacy.training.initialize import init_nlp
from spacy.training.pretrain import pretrain
from spacy.util import load_config, registry

CONFIGS = Path(__file__).parents[2] / "configs"
TASKS = ("ner", "textcat", "tagger_parser")


@pytest.mark.parametrize("task", TASKS)
def test_configs_of_stock_systems_are_complete(task, tmp_path):
    from worth import changes

    config = load_config(CONFIGS / f"{task}.cfg")
    for change in (changes.as_stock, changes.for_pretraining):
        changed = change(config)
        assert "elmo" not in changed.to_str().replace("spacy-elmo", "")
        changed.to_disk(tmp_path / "config.cfg")
        debug_config(tmp_path / "config.cfg", overrides={"paths.train": "x", "paths.dev": "x"})
    assert "elmo" in config["components"]


def test_stock_is_what_spacy_ships():
    """The same layers as spacy.HashEmbedCNN.v2 of the composition's width and depth builds."""
    from worth import changes

    changed = changes.as_stock(load_config(CONFIGS / "ner.cfg")).interpolate()
    block = changed["components"]["ner"]["model"]["tok2vec"]
    sizes = {key: block["encode"][key] for key in ("width", "depth", "window_size")}
    stock = {
        "@architectures": "spacy.HashEmbedCNN.v2",
        "pretrained_vectors": None,
        "embed_size": 2000,
        "subword_features": True,
        "maxout_pieces": block["encode"]["maxout_pieces"],
        **sizes,
    }

    def layers(block):
        model = registry.resolve({"model": block})["model"]
        model.initialize(X=[spacy.blank("en")("Give it a doc .")])
        shapes = [
            (node.name, name, node.get_param(name).shape)
            for node in model.walk()
            for name in node.param_names
        ]
        return shapes

    assert layers(block) == layers(stock)


@pytest.mark.parametrize("task", TASKS)
def test_transformers_take_the_place_of_elmo(task):
    from worth import changes

    config = load_config(CONFIGS / f"{task}.cfg")
    frozen = changes.with_frozen_transformer(config, Path("here"))
    tuned = changes.with_tuned_transformer(config, Path("here"))
    for changed in (frozen, tuned):
        assert changed["components"]["transformer"] == {"source": "here"}
        assert "spacy-elmo" not in changed.to_str()
    assert frozen.to_str().count("TransformerListener") == 1
    assert "MultiHashEmbed" in frozen.to_str() and "MultiHashEmbed" not in tuned.to_str()
    listeners = len(tuned["nlp"]["pipeline"]) - 1
    assert tuned.to_str().count("TransformerListener") == listeners
    assert frozen["training"]["frozen_components"] == ["transformer"]
    assert tuned["training"]["frozen_components"] == []


def test_each_source_is_a_system_and_names_differ(tmp_path):
    from worth.systems import CONFIGS, list_systems

    (tmp_path / "mine").mkdir()
    config = load_config(CONFIGS / "ner.cfg")
    systems = {s.name: s for s in list_systems(["en_small", str(tmp_path / "mine")], [Path("v")])}
    assert list(systems) == [
        *("stock", "stock + v"),
        *("en_small", "en_small, tuned", "en_small + v"),
        *("mine", "mine, tuned", "mine + v"),
    ]
    elmo = systems["mine, tuned"].change(config)["components"]["elmo"]["model"]
    assert elmo["source"] == str(tmp_path / "mine") and elmo["frozen"] is False
    changed = systems["en_small + v"].change(config)
    assert (
        changed["vars"]["static_vectors"] is True and Path(changed["paths"]["vectors"]).name == "v"
    )
    assert config["vars"]["static_vectors"] is False
    with pytest.raises(ValueError, match="same name"):
        list_systems(["a/x", "b/x"])


@pytest.mark.parametrize("task", ["ner", "textcat"])
def test_pretrained_weights_start_every_task(task, tmp_path):
    """Those that spaCy's own pretraining saves are those that training starts from."""
    from worth import changes

    (tmp_path / "raw.jsonl").write_text('{"text": "He sat on the bank of the river ."}\n')
    config = changes.for_pretraining(load_config(CONFIGS / "ner.cfg")).merge(
        {"paths": {"raw_text": str(tmp_path / "raw.jsonl")}, "pretraining": {"max_epochs": 1}}
    )
    pretrain(config.interpolate(), tmp_path)
    nlp = spacy.blank("en")
    doc = nlp("He sat .")
    doc.ents = [Span(doc, 0, 1, "NAME")]
    doc.cats = {"A": 1.0, "B": 0.0}
    other = nlp("Then .")
    other.cats = {"A": 0.0, "B": 1.0}
    DocBin(docs=[doc, other]).to_disk(tmp_path / "train.spacy")

    paths = {key: str(tmp_path / "train.spacy") for key in ("train", "dev")}
    weights = tmp_path / "model-last.bin"
    config = changes.with_pretrained(load_config(CONFIGS / f"{task}.cfg"), weights)
    nlp = init_nlp(config.merge({"paths": paths}))
    assert nlp.pipe_names == ["tok2vec", task]
    assert nlp.get_pipe("tok2vec").model.to_bytes() == weights.read_bytes()
