import json
from itertools import islice
from types import SimpleNamespace

import pytest
from spacy.util import load_config

from spacy_elmo.bilm import BiLMConfig

BILM = {
    "lstm": {
        "dim": 24,
        "projection_dim": 8,
        "n_layers": 3,
        "cell_clip": None,
        "proj_clip": None,
        "use_skip_connections": True,
    },
    "char_cnn": {
        "activation": "relu",
        "filters": [[1, 4], [2, 8]],
        "n_highway": 1,
        "embedding": {"dim": 4},
        "n_characters": 262,
        "max_characters_per_token": 50,
    },
}
N_SAMPLES = 16


@pytest.fixture
def config(tmp_path):
    """A run of pretraining of a small biLM."""
    from pretraining import CONFIG

    config = load_config(CONFIG, interpolate=False)
    config["bilm"] = BILM
    config["training"].update(batch_size=4, n_steps=5, n_samples=N_SAMPLES, n_process=1)
    path = tmp_path / "pretrain.cfg"
    config.to_disk(path)
    return path


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    lines = [f"Word{i % 20} of line{i % 7} is here , or not ." for i in range(60)]
    path.write_text("\n".join(lines), encoding="utf8")
    return path


def test_products_of_training_are_all_counted():
    import products

    config = BiLMConfig.model_validate_json(json.dumps(BILM))
    shapes = products.training_shapes(config, 4, 5, N_SAMPLES, 2)
    of_directions = 2 * sum(rows * n_in * n_out * times for rows, n_in, n_out, times in shapes)
    # The right word's logit is no matrix product.
    softmax = products.of_softmax(config, N_SAMPLES) - products.of_softmax(config, 0)
    assert of_directions == 3 * 4 * 5 * (products.of_lstms(config) + softmax)


@pytest.mark.slow
def test_steps_are_measured(config, text, tmp_path, capsys, monkeypatch):
    import pretraining
    import products

    monkeypatch.setattr(products, "SHAPES", ((128, 128, 128),))  # the others take seconds
    result = pretraining.measure([text], config, tmp_path / "kept", 2, 2, 1, None, tmp_path)
    assert (tmp_path / "kept" / "train").exists()
    assert result["tokens_a_step"] == 20
    assert set(result["runs"]) == {"float32", "bfloat16"}
    for row in result["runs"].values():
        assert row["tokens_per_second"] > 0
        assert row["share_of_peak"] < 1
        *parts, all_parts = row["milliseconds_a_step"].values()
        assert 0 < sum(parts) <= all_parts + 0.1 * len(parts)  # rounded
    json.dumps(result)
    pretraining.show(result)
    assert "share of peak" in capsys.readouterr().out


@pytest.mark.slow
def test_measuring_leaves_the_trainer_as_it_was(config, text, tmp_path):
    import pretraining

    run = pretraining._start([text], config, tmp_path / "kept", "float32", tmp_path / "run")
    pretraining._train(run.trainer, 1)
    assert run.trainer.progress.steps == 1
    for owner in (run.trainer.batches, run.trainer.compute, run.trainer.optimizer):
        assert not {"next", "step", "_side_by_side"}.intersection(vars(owner))


@pytest.mark.slow
def test_the_peer_gets_the_same_shape_and_text(config, text, tmp_path):
    import pretraining

    folder = tmp_path / "run"
    run = pretraining._start([text], config, tmp_path / "kept", "float32", folder)
    pretraining._write_for_peer(run, folder, 100)
    options = json.loads((folder / "options.json").read_text())
    assert options["lstm"] == BILM["lstm"]
    assert options["char_cnn"] == {**BILM["char_cnn"], "n_characters": 261}
    assert (options["batch_size"], options["unroll_steps"]) == (4, 5)
    assert options["n_negative_samples_batch"] == N_SAMPLES
    lines = (folder / "text.txt").read_text().splitlines()
    assert 100 < sum(len(line.split()) + 1 for line in lines) < 120
    sentences = {" ".join(run.train_store.sentence(i)) for i in range(run.train_store.n_sentences)}
    assert set(lines) <= sentences
    vocabulary = (folder / "vocabulary.txt").read_text().splitlines()
    assert len(vocabulary) == len(run.trainer.model.vocabulary)


def test_the_peer_needs_more_words_than_samples(config, text, tmp_path):
    import pretraining

    run = pretraining._start([text], config, tmp_path / "kept", "float32", tmp_path / "run")
    settings = SimpleNamespace(training=SimpleNamespace(n_samples=1000))
    small = SimpleNamespace(trainer=run.trainer, settings=settings)
    with pytest.raises(ValueError, match="from a vocabulary of"):
        pretraining._write_for_peer(small, tmp_path, 1)


def test_requests_are_answered_when_they_are_done(tmp_path, monkeypatch, capsys):
    import timing  # noqa: F401  (finds the folder of peers)
    from serve import MARK, requests

    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for content, path in enumerate(paths):
        path.write_text(json.dumps(content))
    monkeypatch.setattr("sys.stdin", [f"{path}\n" for path in paths])
    asked = requests()
    assert next(asked) == 0
    assert capsys.readouterr().out == f"{MARK} 0\n"
    assert list(islice(asked, 1)) == [1]
    assert capsys.readouterr().out.count(MARK) == 1
    assert list(asked) == []
    assert capsys.readouterr().out.count(MARK) == 1
