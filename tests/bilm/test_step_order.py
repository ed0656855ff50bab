import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from spacy_elmo.bilm.step_order import StepOrder

CPU = torch.device("cpu")


def test_the_longer_sentence_stands_first():
    # Tokens 0 and 1 are the first sentence, 2, 3 and 4 the second.
    order = StepOrder.from_lengths([2, 3], CPU)
    assert order.batch_sizes == [2, 2, 1]
    assert order.forward.tolist() == [2, 0, 3, 1, 4]
    assert order.backward.tolist() == [4, 1, 3, 0, 2]


def test_sentences_of_one_length_keep_their_order():
    order = StepOrder.from_lengths([1, 2, 1, 2], CPU)
    assert order.forward.tolist() == [1, 4, 0, 3, 2, 5]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_is_pytorchs_packed_sequence(lengths):
    sentences = list(torch.arange(sum(lengths)).split(lengths))
    longest_first = sorted(sentences, key=len, reverse=True)  # sorted is stable
    order = StepOrder.from_lengths(lengths, CPU)
    for tokens, read in [
        (order.forward, longest_first),
        (order.backward, [sentence.flip(0) for sentence in longest_first]),
    ]:
        expected = pack_padded_sequence(
            pad_sequence(read), torch.tensor([len(sentence) for sentence in read])
        )
        assert order.batch_sizes == expected.batch_sizes.tolist()
        assert tokens.tolist() == expected.data.tolist()
