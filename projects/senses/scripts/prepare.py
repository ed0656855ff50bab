"""Read sentences with a word whose sense is known, and write them as occurrences."""

import json
import random
import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import Iterator, List

import spacy
import typer
from occurrences import Occurrence, write_occurrences
from wasabi import msg

# Senseval's files are nearly XML: characters of the text aren't escaped.
INSTANCE = re.compile(
    r'<answer instance="[^"]*" senseid="([^"]+)"/>.*?<context>(.*?)</context>', re.S
)
TOKEN = re.compile(r"""<wf pos=(?:"[^"]*"|'[^']*')>(.*?)</wf>""")
HEAD = "<head>"


def main(
    source: Path = typer.Argument(
        ..., exists=True, help="JSON lines with word, sense and text, or Senseval: zip or folder"
    ),
    output: Path = typer.Argument(..., help="The occurrences, JSON lines"),
    limit: int = typer.Option(0, help="At most so many of a word, drawn at random; 0 for all"),
) -> None:
    """Write a file of occurrences."""
    try:
        read = read_sentences if source.suffix == ".jsonl" else read_senseval
        occurrences = draw(list(read(source)), limit)
    except ValueError as error:
        msg.fail("Can't read", str(error), exits=1)
    write_occurrences(occurrences, output)
    for word in dict.fromkeys(occurrence.word for occurrence in occurrences):
        senses = Counter(o.sense for o in occurrences if o.word == word).most_common()
        msg.text(f"{word}: {', '.join(f'{n} {sense}' for sense, n in senses)}")
    msg.good(f"{output}: {len(occurrences)} sentences")


def read_sentences(path: Path) -> Iterator[Occurrence]:
    """JSON lines; the word is one token of its text.

    RAISES ValueError: It isn't, or a line isn't such an object.
    """
    make_doc = spacy.blank("en").make_doc
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
            word, sense, text = row["word"], row["sense"], row["text"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{where}: no object with word, sense and text: {error!r}") from error
        tokens = [token.text for token in make_doc(text)]
        if tokens.count(word) != 1:
            raise ValueError(f"{where}: '{word}' isn't exactly one token of: {text}")
        yield Occurrence(word, sense, tokens, tokens.index(word))


def read_senseval(path: Path) -> Iterator[Occurrence]:
    """The files *.pos. Of a context, the sentence that holds the word counts.

    path: The zip of NLTK's package, or a folder with what is in it.
    RAISES ValueError: There are no such files, or a context is of another form.
    """
    texts = dict(_read_files(path))
    if not texts:
        raise ValueError(f"{path}: there are no files *.pos in it.")
    for name, text in sorted(texts.items()):
        n_found = 0
        for sense, context in INSTANCE.findall(text):
            lines = [line for line in context.splitlines() if HEAD in line]
            if len(lines) != 1:
                raise ValueError(f"{path}, {name}: {len(lines)} words are marked in: {context}")
            before, _, after = lines[0].partition(HEAD)
            index = len(TOKEN.findall(before))
            yield Occurrence(name, sense, TOKEN.findall(before) + TOKEN.findall(after), index)
            n_found += 1
        if n_found != text.count("<instance "):
            raise ValueError(f"{path}, {name}: {n_found} of {text.count('<instance ')} were read.")


def _read_files(path: Path) -> Iterator[tuple[str, str]]:
    """Names without suffix, and texts."""
    if path.is_dir():
        for file in path.rglob("*.pos"):
            yield file.stem, file.read_text(encoding="latin1")
    else:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".pos"):
                    yield Path(name).stem, archive.read(name).decode("latin1")


def draw(occurrences: List[Occurrence], limit: int) -> List[Occurrence]:
    """At most so many of each word, always the same ones, in their order."""
    chosen = []
    for word in dict.fromkeys(occurrence.word for occurrence in occurrences):
        own = [occurrence for occurrence in occurrences if occurrence.word == word]
        if limit and limit < len(own):
            places = sorted(random.Random(0).sample(range(len(own)), limit))
            own = [own[i] for i in places]
        chosen += own
    return chosen


if __name__ == "__main__":
    typer.run(main)
