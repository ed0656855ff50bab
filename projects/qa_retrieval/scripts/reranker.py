"""A small model that puts the answers BM25 finds into a better order: what BM25 says of each, and
whether its vector is one that answers have to a question like this."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, Tuple

import numpy as np
import torch
from torch import Tensor, nn

from spacy_elmo.formats.files import replacing

CANDIDATES = 30  # answers that are ordered anew
RANK = 32
EPOCHS = 20
BATCH = 64  # questions
LEARN_RATE = 0.002
WEIGHT_DECAY = 0.001
DROPOUT = 0.2


@dataclass(frozen=True)
class Lists:
    """Questions and what BM25 finds for each of them.

    questions: (n, width), vectors.
    candidates: (n, CANDIDATES) numbers of answers, the best first.
    scores: (n, CANDIDATES), by BM25.
    right: (n, CANDIDATES), whether each is right.
    """

    questions: np.ndarray
    candidates: np.ndarray
    scores: np.ndarray
    right: np.ndarray


class Reranker(nn.Module):
    """Two maps, of questions and of answers, into one space of a few dimensions; how much a pair's
    product counts beside BM25 is learned with them.

    width: Of the vectors.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lexical = nn.Parameter(torch.tensor([1.0, 0.0]))
        self.of_question = nn.Linear(width, RANK, bias=False)
        self.of_answer = nn.Linear(width, RANK, bias=False)
        nn.init.zeros_(self.of_answer.weight)  # begins with BM25's order
        self.dropout = nn.Dropout(DROPOUT)
        for name in ("question_mean", "answer_mean"):
            self.register_buffer(name, torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def normalize(self, questions: np.ndarray, answers: np.ndarray) -> None:
        """Learn where questions and answers lie, (n, width) of each."""
        self.question_mean.copy_(torch.from_numpy(questions.mean(axis=0)))
        self.answer_mean.copy_(torch.from_numpy(answers.mean(axis=0)))
        self.scale.copy_(torch.from_numpy(answers.std(axis=0)) + 1e-6)

    def forward(self, questions: Tensor, answers: Tensor, scores: Tensor) -> Tensor:
        """questions: (n, width).
        answers: (n, n_candidates, width).
        scores: (n, n_candidates), by BM25, the best first.
        RETURNS: (n, n_candidates)."""
        q = self.of_question(self.dropout((questions - self.question_mean) / self.scale))
        kept = self.dropout(torch.ones_like(answers[:, :1])) / self.scale  # of a whole list
        a = self.of_answer((answers - self.answer_mean) * kept)
        lexical = torch.stack([scores / 10, scores / scores[:, :1].clamp(min=1e-6)], dim=-1)
        return lexical @ self.lexical + torch.einsum("nr,ncr->nc", q, a)

    @torch.no_grad()
    def rank(self, questions: np.ndarray, answers: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """As 'forward', of arrays and without dropout."""
        self.eval()
        arrays = (torch.from_numpy(np.ascontiguousarray(a)) for a in (questions, answers, scores))
        return self(*arrays).numpy()


def learn(lists: Lists, answers: np.ndarray, seed: int) -> Iterator[Reranker]:
    """Train on lists of which each holds a right answer: the right ones become likelier than the
    others of their list.

    answers: (n_answers, width), vectors of all.
    YIELDS: The same model at first, which orders as BM25 does, and after each epoch.
    """
    torch.manual_seed(seed)
    model = Reranker(answers.shape[1])
    model.normalize(lists.questions, answers)
    optimizer = torch.optim.AdamW(model.parameters(), LEARN_RATE, weight_decay=WEIGHT_DECAY)
    order = np.random.default_rng(seed)
    yield model
    for _ in range(EPOCHS):
        model.train()
        places = order.permutation(len(lists.questions))
        for chosen in np.array_split(places, max(1, len(places) // BATCH)):
            q, s = (torch.from_numpy(a[chosen]) for a in (lists.questions, lists.scores))
            likely = model(q, torch.from_numpy(answers[lists.candidates[chosen]]), s)
            right = torch.from_numpy(lists.right[chosen])
            chances = likely.log_softmax(dim=1).masked_fill(~right, -torch.inf)
            loss = -chances.logsumexp(dim=1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield model


def write_reranker(model: Reranker, path: Path, **about: object) -> None:
    """about: What is to be known of it besides, as JSON."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        arrays = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
        np.savez(file, about=np.frombuffer(json.dumps(about).encode(), "uint8"), **arrays)


def read_reranker(path: Path) -> Tuple[Reranker, Dict]:
    """RETURNS: The model, and what is to be known of it.
    RAISES ValueError: The file isn't there or is of another form."""
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(file["about"].tobytes())
            arrays = {name: torch.from_numpy(file[name]) for name in file.files if name != "about"}
        model = Reranker(len(arrays["scale"]))
        model.load_state_dict(arrays)
    except (OSError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: no re-ranker by learn.py: {error}") from error
    return model, about
