import subprocess
import sys

import pytest
import spacy
from helpers import (
    LISTENER,
    examples,
    nested,
    own_bilm,
    save_tiny_bilm,
    textcat_pipeline,
    tiny_pipeline,
)
from numpy.testing import assert_allclose
from thinc.api import Config

from spacy_elmo import BiLM
from spacy_elmo.architectures import replace_listener_config

TEXT = "He sat on the bank ."
SPANS = {"@span_getters": "spacy-elmo.sentences.v1"}


@pytest.fixture
def source(tmp_path):
    return save_tiny_bilm(tmp_path / "bilm")


def test_a_pair_of_files_is_a_source(source, tmp_path):
    BiLM.load(source).save(tmp_path / "published" / "weights.hdf5", format="hdf5")
    pair = [str(tmp_path / "published" / name) for name in ("options.json", "weights.hdf5")]
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo", config={"model": {"source": pair}})
    assert_allclose(nlp(TEXT).tensor, tiny_pipeline(source)(TEXT).tensor, atol=1e-6)


def test_own_mix_can_be_fixed(source):
    doc = tiny_pipeline(source, mix_weights=[0, 0, 1])(TEXT)
    assert_allclose(doc.tensor, doc._.elmo.layers[2])


def test_listeners_mix_can_be_fixed(source):
    nlp = tiny_pipeline(source, [{**LISTENER, "mix_weights": [0.5, 0, 2]}])
    sgd = nlp.initialize(lambda: examples(nlp))
    nlp.update(examples(nlp), sgd=sgd)
    doc = nlp(TEXT)
    layers = doc._.elmo.layers
    assert_allclose(doc.user_data["a"], 0.5 * layers[0] + 2 * layers[2], atol=1e-6)


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ({"precision": "float8"}, "precision"),
        ({"max_batch_tokens": 0}, "max_batch_tokens"),
        ({"lr_scale": -0.1}, "lr_scale"),
        ({"lr_scale": float("nan")}, "lr_scale"),
        ({"frozen": "perhaps"}, "frozen"),
        ({"sauce": "en_small"}, "sauce"),
        ({"get_spans": {**SPANS, "max_length": 3}}, "no room"),
    ],
)
def test_wrong_settings_are_named(setting, match):
    with pytest.raises(ValueError, match=match):
        spacy.blank("en").add_pipe("elmo", config={"model": setting})


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_the_precision_is_saved_with_the_pipeline(source, tmp_path, precision):
    nlp = tiny_pipeline(source, [LISTENER], precision=precision)
    nlp.initialize(lambda: examples(nlp))
    doc = nlp(TEXT)
    [expected] = BiLM.load(source, precision=precision).embed([TEXT.split()])
    assert_allclose(doc._.elmo.layers, expected, atol=1e-6)
    nlp.to_disk(tmp_path / "nlp")
    again = spacy.load(tmp_path / "nlp")
    assert again.config["components"]["elmo"]["model"]["precision"] == precision
    assert_allclose(again(TEXT)._.elmo.layers, doc._.elmo.layers, atol=0)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_tok2vec_of_its_own_has_a_precision(source, precision):
    tok2vec = own_bilm(source, precision=precision, mix_weights=[0, 0, 1])
    nlp = spacy.blank("en")
    nlp.add_pipe("half_squares", name="a", config={"tok2vec": tok2vec})
    nlp.initialize(lambda: examples(nlp))
    vectors = nlp(TEXT).user_data["a"]
    exact, expected = (BiLM.load(source, precision=p) for p in ("float32", precision))
    assert_allclose(vectors, expected.embed([TEXT.split()])[0][2], atol=1e-6)
    is_exact = abs(vectors - exact.embed([TEXT.split()])[0][2]).max() < 1e-5
    assert is_exact == (precision == "float32")


def test_a_stock_listeners_replacement_has_the_components_mix_and_the_listeners_width():
    bilm = {"@architectures": "spacy-elmo.BiLM.v1", "source": "x", "mix_weights": [1, 0, 0]}
    stock = {"@architectures": "spacy.Tok2VecListener.v1", "width": 8, "upstream": "elmo"}
    assert replace_listener_config(bilm, nested(stock)) == {
        "@architectures": "spacy-elmo.Tok2VecElmo.v1",
        "source": "x",
        "mix_weights": [1, 0, 0],
        "width": 8,
    }


def test_a_listeners_replacement_has_its_mix_and_the_components_source():
    bilm = {"@architectures": "spacy-elmo.BiLM.v1", "source": "x", "mix_weights": [1, 0, 0]}
    listener = {**LISTENER, "mix_weights": None, "layer_norm": True, "upstream": "elmo"}
    assert replace_listener_config(bilm, nested(nested(listener))) == {
        "@architectures": "spacy-elmo.Tok2VecElmo.v1",
        "source": "x",
        "mix_weights": None,
        "layer_norm": True,
    }


def test_listeners_with_different_mixes_cannot_be_told_apart():
    for other in ({**LISTENER, "layer_norm": True}, {"@architectures": "spacy.Tok2VecListener.v1"}):
        two = {"@layers": "concatenate.v1", "*": {"a": LISTENER, "b": other}}
        with pytest.raises(ValueError, match="different"):
            replace_listener_config({"@architectures": "spacy-elmo.BiLM.v1"}, two)


def test_sourcing_from_a_config_with_replaced_listeners(source, tmp_path):
    nlp, _ = textcat_pipeline(source, nested({**LISTENER, "layer_norm": True}))
    nlp.to_disk(tmp_path / "pipeline")
    (tmp_path / "bilm").rename(tmp_path / "gone")
    config = {
        "nlp": {"lang": "en", "pipeline": ["textcat"]},
        "components": {
            "textcat": {
                "source": str(tmp_path / "pipeline"),
                "replace_listeners": ["model.tok2vec.*.elmo"],
            }
        },
    }
    sourced = spacy.util.load_model_from_config(Config(config), auto_fill=True)
    assert sourced.pipe_names == ["textcat"]
    assert sourced(TEXT).cats == nlp(TEXT).cats


@pytest.mark.slow
def test_architectures_resolve_before_the_package_is_imported(source):
    """Entry points alone must make the span getters known; in a fresh process."""
    config = {
        "tok2vec": {
            "@architectures": "spacy-elmo.Tok2VecElmo.v1",
            "source": source,
            "get_spans": SPANS,
        }
    }
    code = f"""
import sys
from spacy.util import registry
assert "spacy_elmo" not in sys.modules
model = registry.resolve({config!r})["tok2vec"]
from spacy.lang.en import English
print(model.predict([English()("He sat.")])[0].shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(3, 8)"


@pytest.mark.slow
def test_another_package_may_make_the_span_getters_registry_too():
    """spacy-transformers makes it when it is imported, before or after this package."""
    code = """
import catalogue, spacy
from spacy.util import registry
def make():
    registry.span_getters = catalogue.create("spacy", "span_getters", entry_points=True)
    registry.span_getters("other-spans.v1")(lambda: None)
if {before}:
    make()
import spacy_elmo.component
if not {before}:
    make()
assert "other-spans.v1" in registry.span_getters
nlp = spacy.blank("en")
nlp.add_pipe("elmo")
"""
    for before in (True, False):
        subprocess.run([sys.executable, "-c", code.format(before=before)], check=True)
