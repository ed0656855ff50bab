"""The softmax that a biLM was trained with, and the words that it predicts. Vectors need neither;
perplexity and further training do."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from .files import check_array, check_finite, check_names, refuse_pointer

_NAMES = ("bias", "weight")
_END_MARK = "!!!MAXTERMID"  # a line of lm_1b's vocabularies that bilm-tf gives no number


class SoftmaxWeights(NamedTuple):
    """A softmax over the words of a vocabulary, the same one for both directions.

    words: (n_words,): row i predicts ``words[i]``.
    weight: (n_words, projection_dim), float32.
    bias: (n_words,), float32.
    """

    words: tuple[str, ...]
    weight: Tensor
    bias: Tensor


class MissingVocabulary(ValueError):
    """There is a softmax, but nothing says which words its rows predict."""


def check_softmax(
    where: str, tensors: Mapping[str, Tensor], words: tuple[str, ...], projection_dim: int
) -> SoftmaxWeights:
    """A softmax that fits its vocabulary and its biLM.

    where: The file of the arrays, for the error.
    tensors: "weight" and "bias", of float32 or float16.
    words: The vocabulary.
    projection_dim: Of the biLM's LSTMs.
    RAISES ValueError: An array is missing, unknown, of a wrong shape or type, or not finite.
    """
    check_names(where, tensors, _NAMES)
    n_rows = len(tensors["bias"]) if tensors["bias"].ndim else 0
    if n_rows != len(words):
        raise ValueError(
            f"{where}: array 'bias' has {n_rows:,} rows, but the vocabulary has {len(words):,} "
            "words. Was it trained with this vocabulary?"
        )
    shapes = {"weight": (n_rows, projection_dim), "bias": (n_rows,)}
    for name, tensor in tensors.items():
        dtype = str(tensor.dtype).removeprefix("torch.")
        check_array(where, name, tuple(tensor.shape), shapes[name], dtype, ("float32", "float16"))
        check_finite(where, name, tensor.numpy())
    return SoftmaxWeights(words, tensors["weight"].float(), tensors["bias"].float())


def read_words(path: Path) -> tuple[str, ...]:
    """Read a vocabulary in the form of bilm-tf.

    path: UTF-8 text, one word a line.
    RAISES ValueError: The file is missing or not UTF-8.
    """
    refuse_pointer(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"Can't read the vocabulary: {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a vocabulary: not UTF-8: {error}") from error
    # Words may hold characters at which splitlines() would break them.
    lines = (line.removesuffix("\r") for line in text.removesuffix("\n").split("\n"))
    return tuple(word for word in lines if word != _END_MARK)


def words_to_bytes(words: Sequence[str]) -> bytes:
    """What ``read_words`` reads.

    RAISES ValueError: A word doesn't fit on a line.
    """
    for word in words:
        if not fits_a_line(word):
            raise ValueError(f"The word {word!r} of the vocabulary doesn't fit on a line.")
    return "".join(f"{word}\n" for word in words).encode()


def fits_a_line(word: str) -> bool:
    """Whether a word can stand in a vocabulary of one word a line. Half of a surrogate pair, which
    JSON can hold, can't: UTF-8 doesn't express it."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return bool(word) and "\n" not in word and "\r" not in word
