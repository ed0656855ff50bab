import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from spacy_elmo.bilm.packing import Packing

CPU = torch.device("cpu")


def test_the_longer_sentence_stands_first():
    # Tokens 0 and 1 are the first sentence, 2, 3 and 4 the second.
    packing = Packing.from_lengths([2, 3], CPU)
    assert packing.batch_sizes == [2, 2, 1]
    assert packing.forward.tolist() == [2, 0, 3, 1, 4]
    assert packing.backward.tolist() == [4, 1, 3, 0, 2]


def test_sentences_of_one_length_keep_their_order():
    packing = Packing.from_lengths([1, 2, 1, 2], CPU)
    assert packing.forward.tolist() == [1, 4, 0, 3, 2, 5]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_is_pytorchs_packed_sequence(lengths):
    tokens = list(torch.arange(sum(lengths)).split(lengths))
    longest_first = sorted(tokens, key=len, reverse=True)  # sorted is stable
    packing = Packing.from_lengths(lengths, CPU)
    for order, sentences in [
        (packing.forward, longest_first),
        (packing.backward, [sentence.flip(0) for sentence in longest_first]),
    ]:
        expected = pack_padded_sequence(
            pad_sequence(sentences), torch.tensor([len(sentence) for sentence in sentences])
        )
        assert packing.batch_sizes == expected.batch_sizes.tolist()
        assert order.tolist() == expected.data.tolist()
