"""Requests, those that are meant for a service and others: projects/intents."""

import json

import numpy as np
import pytest
import spacy
from helpers import save_tiny_bilm
from spacy.tokens import Doc
from spacy.training import Example

pytest.importorskip("sklearn")
from project_scripts import scripts_of

from spacy_elmo.projects.corpora.binary import write_docs

with scripts_of("intents"):
    from assemble import assemble
    from prepare import read_clinc, read_folder
    from scopes import Scopes, read_scopes, with_threshold


def test_requests_are_read_with_their_entities(tmp_path):
    for part in ("train", "dev", "test"):
        text = "# buy\nTo [Port Ellis](STATION)!\n# out_of_scope\nSing.\n"
        (tmp_path / f"{part}.txt").write_text(text)
    rows = read_folder(tmp_path)["dev"]
    span = {"start": 3, "end": 13, "label": "STATION"}
    assert rows == [
        {"text": "To Port Ellis!", "spans": [span], "label": "buy"},
        {"text": "Sing.", "spans": []},
    ]
    (tmp_path / "test.txt").write_text("To Oban.\n")
    with pytest.raises(ValueError, match=r"test\.txt: there is no line '# intent' above: To Oban"):
        read_folder(tmp_path)


def test_clinc_is_not_learned_from_what_has_no_intent(tmp_path):
    path = tmp_path / "clinc.json"
    data = {name: [["a", "x"]] for name in ("train", "val", "test")}
    others = {f"oos_{name}": [["b", "oos"]] for name in data}
    path.write_text(json.dumps({**data, **others}))
    parts = read_clinc(path)
    assert [row["text"] for row in parts["train"]] == ["a"]
    assert parts["test"] == [{"text": "a", "spans": [], "label": "x"}, {"text": "b", "spans": []}]
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match="not CLINC150: KeyError"):
        read_clinc(path)


def test_shares_are_those_of_a_count_by_hand():
    meant, right = np.array([0.9, 0.6, 0.2, 0.7]), np.array([True, False, True, True])
    scopes = Scopes(0.5, meant, right, np.array([0.1, 0.8]))
    assert scopes.scores() == pytest.approx(
        {
            "intent right, nothing refused": 75,
            "accepted, intent right": 50,
            "others refused": 50,
            "refused are others": 50,
            "area under ROC": 100 * 5 / 8,
        }
    )
    assert Scopes(0.0, meant, right, np.array([0.1])).scores()["refused are others"] == 0


def pipeline(source, component, seed=0):
    """'elmo' and a component that listens to it and has learned nothing."""
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo", config={"model": {"source": source}})
    tok2vec = {"@architectures": "spacy-elmo.ElmoListener.v1", "upstream": "elmo"}
    architecture = {"textcat": "spacy.TextCatReduce.v1", "ner": "spacy.TransitionBasedParser.v2"}
    model = {"@architectures": architecture[component], "tok2vec": tok2vec}
    if component == "textcat":
        model.update(exclusive_classes=True, use_reduce_first=False, use_reduce_last=False)
        model.update(use_reduce_max=False, use_reduce_mean=True)
    else:
        model.update(state_type="ner", extra_state_tokens=False, hidden_width=8, maxout_pieces=2)
    nlp.add_pipe(component, config={"model": model})
    doc = nlp.make_doc("To Oban !")
    annotations = {"cats": {"x": 1.0, "y": 0.0}, "entities": [(3, 7, "STATION")]}
    spacy.util.fix_random_seed(seed)
    nlp.initialize(lambda: [Example.from_dict(doc, annotations)])
    return nlp


def test_what_was_learned_apart_stands_above_one_elmo(tmp_path):
    source = save_tiny_bilm(tmp_path / "bilm")
    intents, entities = pipeline(source, "textcat"), pipeline(source, "ner", seed=1)
    text = "To Oban , please , and back to Falmouth ."
    cats, ents = intents(text).cats, [(e.text, e.label_) for e in entities(text).ents]
    nlp = assemble(intents, entities)
    assert nlp.pipe_names == ["elmo", "textcat", "ner"]
    nlp.to_disk(tmp_path / "both")
    for loaded in (nlp, spacy.load(tmp_path / "both")):
        doc = loaded(text)
        assert doc.cats == pytest.approx(cats)
        assert [(e.text, e.label_) for e in doc.ents] == ents
    other = pipeline(save_tiny_bilm(tmp_path / "other", seed=1), "ner")
    with pytest.raises(ValueError, match="biLMs of the two differ"):
        assemble(pipeline(source, "textcat"), other)


@pytest.mark.slow
def test_a_threshold_is_kept_with_the_pipeline(tmp_path):
    nlp = pipeline(save_tiny_bilm(tmp_path / "bilm"), "textcat")
    nlp.to_disk(tmp_path / "model")
    docs = [Doc(nlp.vocab, words=["To", "Oban"]), Doc(nlp.vocab, words=["Sing"])]
    docs[0].cats, docs[1].cats = {"x": 1.0, "y": 0.0}, {"x": 0.0, "y": 0.0}
    write_docs(docs, tmp_path / "dev.spacy")
    output = tmp_path / "new" / "refusing"
    threshold = with_threshold(tmp_path / "model", output, tmp_path / "dev.spacy", 5)
    loaded = spacy.load(output)
    assert loaded.get_pipe("textcat").cfg["threshold"] == threshold
    assert loaded("To Oban").cats == pytest.approx(nlp("To Oban").cats)
    scopes = read_scopes(loaded, tmp_path / "dev.spacy", threshold)
    assert scopes.meant == pytest.approx([max(nlp("To Oban").cats.values())])
    assert len(scopes.others) == 1
