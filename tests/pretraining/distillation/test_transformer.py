"""A transformer with random weights as teacher, compared with what transformers itself gives."""

import sys

import numpy as np
import pytest
import torch
from spacy.util import registry

transformers = pytest.importorskip("transformers")

from spacy_elmo.pretraining.distillation.transformer import (  # noqa: E402
    TransformerTeacher,
    configure_transformer_teacher,
)

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "riv", "##er", "bank", "##s", "of"]
SENTENCES = [["the", "banks"], ["river", "the", "banks", "of"], ["bank"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A BERT of two layers of width 8, for sentences of at most 12 pieces."""
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(PIECES),
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=12,
    )
    transformers.BertModel(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordPiece({p: i for i, p in enumerate(PIECES)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]"
    ).save_pretrained(folder)
    return folder


def make(folder, layers=(0, 2), **options):
    return configure_transformer_teacher(str(folder), list(layers), **options)


def test_a_word_is_the_mean_of_its_pieces(folder):
    taught = make(folder)(SENTENCES, mixed_precision=False)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    ids = [
        [[2, 5, 8, 9, 3], [[1], [2, 3]]],
        [[2, 6, 7, 5, 8, 9, 10, 3], [[1, 2], [3], [4, 5], [6]]],
        [[2, 8, 3], [[1]]],
    ]
    expected = []
    with torch.no_grad():
        for sentence, words in ids:
            layers = model(torch.tensor([sentence]), output_hidden_states=True).hidden_states
            both = torch.cat([layers[0][0], layers[2][0]], dim=1)
            expected += [both[pieces].mean(dim=0) for pieces in words]
    np.testing.assert_allclose(taught.vectors, torch.stack(expected), rtol=1e-4, atol=1e-5)
    assert taught.is_known.all()


def test_batches_change_nothing(folder):
    whole = make(folder)(SENTENCES, mixed_precision=False)
    single = make(folder, batch_pieces=1)(SENTENCES, mixed_precision=False)
    np.testing.assert_allclose(whole.vectors, single.vectors, rtol=1e-4, atol=1e-5)


def test_mixed_precision_is_close(folder):
    exact = make(folder)(SENTENCES, mixed_precision=False).vectors
    mixed = make(folder)(SENTENCES, mixed_precision=True).vectors
    assert (mixed != exact).any()
    assert np.linalg.norm(mixed - exact) < 0.05 * np.linalg.norm(exact)


def test_ends_of_long_sentences_are_not_known(folder, capsys):
    taught = make(folder)([["of"] * 15, ["of"]], mixed_precision=False)
    assert taught.is_known.tolist() == [True] * 10 + [False] * 5 + [True]
    assert "12 pieces at most: it teaches nothing of the ends of 1 sentences" in " ".join(
        capsys.readouterr().out.split()
    )


def test_words_without_pieces_are_not_known(folder):
    taught = make(folder)([["of", "\u200b", "the"]], mixed_precision=False)
    assert taught.is_known.tolist() == [True, False, True]


def test_its_description_tells_it_from_others(folder, tmp_path):
    description = make(folder).describe()
    assert description == make(folder).describe()
    assert description != make(folder, layers=[0, 1]).describe()
    model = transformers.AutoModel.from_pretrained(folder)
    with torch.no_grad():
        model.pooler.dense.bias[0] += 1
    model.save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert description["weights"] != make(tmp_path).describe()["weights"]


@pytest.mark.parametrize("layers", [[0, 3], [-1], []])
def test_layers_that_it_lacks(folder, layers):
    with pytest.raises(ValueError, match=r"layers 0 \(its embeddings\) to 2, but layers is \["):
        make(folder, layers)


def test_no_such_model(tmp_path):
    with pytest.raises(ValueError, match="The teacher .*nothing: there is no such directory"):
        make(tmp_path / "nothing")


def test_without_transformers(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"pip install 'spacy-elmo\[distill\]'"):
        make(folder)


def test_it_is_registered():
    found = registry.get("misc", "spacy-elmo.TransformerTeacher.v1")
    assert found is configure_transformer_teacher
    assert TransformerTeacher
