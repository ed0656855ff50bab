"""Make the German sentences of this project: annotated ones, and a raw text in which the same names
stand, most of which no annotated sentence to learn from has."""

import random
import re
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple

import typer
import words

LABELS = {"P": "PER", "S": "PER", "L": "LOC", "O": "ORG"}
SIZES = {"train": 90, "dev": 40, "test": 150, "raw": 4000}
# Of frames that don't tell what a name is; of the raw text, of those that only it has.
OPEN_SHARE = {"train": 0.25, "dev": 0.4, "test": 0.5, "raw": 0.5}
NOTHING_SHARE = 0.15
_SLOT = re.compile(r"\{([PSLOXN])\}")
_GLUED = re.compile(r" ([.,“])|(„) ")


class Names(NamedTuple):
    """known: Those of sentences to learn from.
    others: Those of no such sentence."""

    known: List[str]
    others: List[str]


def read_names(text: str) -> Names:
    """text: Names, those to learn from before "|"."""
    known, _, others = text.partition("|")
    return Names(known.split(), others.split())


NAMES: Dict[str, Names] = {
    "P": read_names(words.PEOPLE),
    "S": read_names(words.SURNAMES),
    "L": read_names(words.TOWNS),
    "O": read_names(words.COMPANIES),
    "N": Names(words.NOUNS.split(), []),
}
FRAMES = {
    name: [line for line in text.split("\n") if line]
    for name, text in {
        "telling": words.PERSON + words.TOWN + words.COMPANY,
        "open": words.OPEN,
        "nothing": words.NOTHING,
        "raw": words.RAW,
    }.items()
}


def make_sentence(part: str, draw: random.Random) -> str:
    """RETURNS: A sentence, with its names marked as in ``[Ulm](LOC)``."""
    chance = draw.random()
    kind = "nothing" if chance < NOTHING_SHARE else "telling"
    if chance > 1 - OPEN_SHARE[part]:
        kind = "raw" if part == "raw" else "open"
    text = _SLOT.sub(_filler(part, draw), draw.choice(FRAMES[kind]))
    return _GLUED.sub(lambda match: match[1] or match[2], text)


def _filler(part: str, draw: random.Random) -> Callable[[re.Match[str]], str]:
    def fill(match: re.Match[str]) -> str:
        slot = draw.choice("PLO") if match[1] == "X" else match[1]
        known, others = NAMES[slot]
        name = draw.choice(known if part == "train" else known + others)
        return f"[{name}]({LABELS[slot]})" if slot in LABELS else name

    return fill


def join_names(text: str) -> str:
    """First name and surname are one person."""
    return re.sub(r"\[(\w+)\]\(PER\) \[(\w+)\]\(PER\)", r"[\1 \2](PER)", text)


def main(output: Path = typer.Argument(..., help="Folder for the files")) -> None:
    """Write the annotated train.txt, dev.txt and test.txt, and raw.txt; no sentence is twice among
    them."""
    output.mkdir(parents=True, exist_ok=True)
    seen = set()
    for seed, (part, n_sentences) in enumerate(SIZES.items()):
        draw = random.Random(seed)
        sentences: List[str] = []
        while len(sentences) < n_sentences:
            marked = join_names(make_sentence(part, draw))
            plain = re.sub(r"\[([^]]+)\]\(\w+\)", r"\1", marked)
            if plain not in seen:
                seen.add(plain)
                sentences.append(plain if part == "raw" else marked)
        text = "".join(sentence + "\n" for sentence in sentences)
        (output / f"{part}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
