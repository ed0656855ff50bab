from weakref import ref

from hypothesis import given
from hypothesis import strategies as st

from spacy_elmo.bilm.batches import batches_by_tokens


@given(st.lists(st.integers(0, 9)), st.integers(1, 20), st.none() | st.integers(1, 4))
def test_batches_are_as_long_as_they_may_be(lengths, max_tokens, max_items):
    items = list(enumerate(lengths))
    batches = list(batches_by_tokens(items, lambda item: item[1], max_tokens, max_items))
    assert [item for batch in batches for item in batch] == items
    sizes = [sum(length for _, length in batch) for batch in batches]
    for batch, size in zip(batches, sizes, strict=True):
        assert size <= max_tokens or len(batch) == 1
        assert max_items is None or len(batch) <= max_items
    for batch, size, after in zip(batches, sizes, batches[1:], strict=False):
        assert size + after[0][1] > max_tokens or len(batch) == max_items


def test_a_batch_that_is_done_is_not_kept():
    class Item:
        pass

    seen = []

    def items():
        for _ in range(6):
            item = Item()
            seen.append(ref(item))
            yield item
            del item
        assert [item() is None for item in seen[:4]] == [True] * 4

    for batch in batches_by_tokens(items(), lambda item: 1, 2):
        del batch
