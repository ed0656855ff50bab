"""A transformer as teacher."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, List, Optional

import numpy as np
import torch
import xxhash
from torch import Tensor
from wasabi import msg

from .teacher import Taught

_EXTRA = "spacy-elmo.TransformerTeacher.v1 needs transformers: pip install 'spacy-elmo[distill]'"


class TransformerTeacher:
    """Layers of a model of Hugging Face's transformers, of each word the mean of its pieces.

    name, layers, device, batch_pieces, licence: As ``configure_transformer_teacher`` takes them.
    RAISES ImportError: transformers is missing.
    RAISES ValueError: There is no such model, it lacks a layer, or its tokenizer doesn't tell which
        word a piece is of.
    """

    def __init__(
        self, name: str, layers: List[int], device: str, batch_pieces: int, licence: Optional[str]
    ) -> None:
        try:
            from transformers import AutoModel, AutoTokenizer
        except ImportError as error:
            raise ImportError(_EXTRA) from error
        self.name, self.layers, self.licence = name, layers, licence
        self.device, self.batch_pieces = torch.device(device), batch_pieces
        if name.startswith((".", "/")) and not Path(name).is_dir():
            raise ValueError(f"The teacher {name}: there is no such directory.")
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(name)
            self._model = AutoModel.from_pretrained(name).eval().to(self.device)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"The teacher {name} can't be loaded. A name is that of a model on the hub, or a "
                f"directory: {error}"
            ) from error
        if not self._tokenizer.is_fast:
            raise ValueError(
                f"The teacher {name} has a tokenizer in Python, which doesn't tell which word a "
                "piece is of. Take one with a tokenizer.json."
            )
        n_layers = self._model.config.num_hidden_layers + 1
        wrong = [layer for layer in layers if not 0 <= layer < n_layers]
        if wrong or not layers:
            raise ValueError(
                f"The teacher {name} has layers 0 (its embeddings) to {n_layers - 1}, but layers "
                f"is {layers}."
            )
        limits = (self._tokenizer.model_max_length, self._model.config.max_position_embeddings)
        self.max_pieces = min(limits)

    def describe(self) -> dict[str, Any]:
        """Name, layers and a digest of all weights."""
        digest = xxhash.xxh3_128()
        for parameter in self._model.parameters():
            digest.update(parameter.detach().cpu().contiguous().view(torch.uint8).numpy())
        return {"name": self.name, "layers": self.layers, "weights": digest.hexdigest()}

    def __call__(self, sentences: Sequence[Sequence[str]], *, mixed_precision: bool) -> Taught:
        """As ``Teacher``. Words beyond the model's longest sentence aren't known, which is told;
        nor are those of which its tokenizer leaves nothing."""
        encodings = self._tokenizer(
            [list(words) for words in sentences],
            is_split_into_words=True,
            truncation=True,
            max_length=self.max_pieces,
        )
        pieces = encodings["input_ids"]
        taught: list[Optional[Taught]] = [None] * len(sentences)
        for numbers in self._batches([len(ids) for ids in pieces]):
            layers = self._run([pieces[i] for i in numbers], mixed_precision)
            for i, vectors in zip(numbers, layers, strict=True):
                words = encodings.word_ids(i)
                taught[i] = _by_word(vectors[: len(words)], words, len(sentences[i]))
        all_taught = [one for one in taught if one is not None]
        cut = sum(
            len(ids) == self.max_pieces and not one.is_known[-1]
            for ids, one in zip(pieces, all_taught, strict=True)
        )
        if cut:
            msg.warn(
                f"{self.name} reads {self.max_pieces} pieces at most: it teaches nothing of the "
                f"ends of {cut} sentences."
            )
        return Taught(*(np.concatenate(part) for part in zip(*all_taught, strict=True)))

    def _batches(self, lengths: list[int]) -> Iterator[list[int]]:
        """Sentences of similar length, shortest first, of ``batch_pieces`` together."""
        batch: list[int] = []
        for i in np.argsort(lengths, kind="stable").tolist():
            if batch and lengths[i] * (len(batch) + 1) > self.batch_pieces:
                yield batch
                batch = []
            batch.append(i)
        yield batch

    def _run(self, pieces: list[list[int]], mixed_precision: bool) -> Tensor:
        """RETURNS: (n_sentences, longest, width)."""
        ids = torch.zeros(len(pieces), max(map(len, pieces)), dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for row, sentence in enumerate(pieces):
            ids[row, : len(sentence)] = torch.tensor(sentence)
            mask[row, : len(sentence)] = 1
        kind = self.device.type
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=mixed_precision):
            states = self._model(
                input_ids=ids.to(self.device),
                attention_mask=mask.to(self.device),
                output_hidden_states=True,
            ).hidden_states
        return torch.cat([states[layer] for layer in self.layers], dim=-1).float().cpu()


def _by_word(vectors: Tensor, words: list[Optional[int]], n_words: int) -> Taught:
    """vectors: (n_pieces, width).
    words: The word of each piece; None for the model's own symbols."""
    pieces = [i for i, word in enumerate(words) if word is not None]
    rows = torch.tensor([word for word in words if word is not None], dtype=torch.int64)
    counts = torch.bincount(rows, minlength=n_words)
    sums = vectors.new_zeros(n_words, vectors.shape[1]).index_add_(0, rows, vectors[pieces])
    means = sums / counts.clamp(min=1).unsqueeze(1)
    return Taught(means.numpy(), (counts > 0).numpy())


def configure_transformer_teacher(
    name: str,
    layers: List[int],
    device: str = "cpu",
    batch_pieces: int = 4096,
    licence: Optional[str] = None,
) -> TransformerTeacher:
    """spacy-elmo.TransformerTeacher.v1: layers of a Hugging Face model.

    name (str): Its name on the hub, or its directory.
    layers (List[int]): Which of its layers; 0 are its embeddings.
    device (str): Where it runs, by PyTorch's name.
    batch_pieces (int): Pieces of words that it reads at once, about.
    licence (Optional[str]): Of its weights, for the model card.
    RAISES ImportError: transformers is missing.
    RAISES ValueError: There is no such model, or it lacks a layer.
    """
    return TransformerTeacher(name, layers, device, batch_pieces, licence)
