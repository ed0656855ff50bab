"""Make a language's files ready: the raw text, annotated texts in spaCy's format, and configs with
its tokenizer."""

import json
from pathlib import Path
from typing import Callable, Dict, List

import spacy
import typer
from languages import LANGUAGES, Language
from spacy.tokens import Doc
from spacy.training.converters import conllu_to_docs
from spacy.util import load_config
from spacy.vocab import Vocab
from wasabi import msg

from spacy_elmo.formats.files import replacing
from spacy_elmo.projects.corpora.binary import write_docs
from spacy_elmo.projects.corpora.columns import read_columns
from spacy_elmo.projects.corpora.inline import read_inline
from spacy_elmo.projects.corpora.labels import count_labels
from spacy_elmo.projects.corpora.split import hold_out
from spacy_elmo.records import open_input

CONFIGS = ("pretrain.cfg", "ner.cfg", "tagger_parser.cfg")
HELD_OUT = 50  # one of so many raw texts
Documents = List[List[Doc]]


def main(
    name: str = typer.Argument(..., help="Which language: a name in scripts/languages.py"),
    assets: Path = typer.Argument(..., exists=True, help="Folder of its files"),
    output: Path = typer.Argument(..., help="Folder for what is made of them"),
    configs: Path = typer.Option(Path("configs"), exists=True, help="Folder of the configs"),
    max_words: int = typer.Option(10**9, help="Stop reading raw text there; in Chinese, two signs"),
) -> None:
    """Write configs, raw.jsonl and raw_heldout.jsonl, and entities and trees where there are."""
    if name not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        msg.fail(f"{name} is none of {known}", "Add it to scripts/languages.py", exits=1)
    language = LANGUAGES[name]
    try:
        write_configs(language, configs, output)
        write_raw(language, assets, output, max_words)
        write_parts(read_entities(language, assets), output / "entities")
        write_parts(read_trees(language, assets), output / "trees")
    except (ValueError, OSError) as error:
        msg.fail("Can't prepare", str(error), exits=1)


def write_configs(language: Language, configs: Path, output: Path) -> None:
    """Copy the configs, with the language and its tokenizer."""
    for name in CONFIGS:
        config = load_config(configs / name, interpolate=False)
        config["nlp"]["lang"] = language.code
        if language.tokenizer:
            config["nlp"]["tokenizer"] = language.tokenizer
        with replacing(output / name) as temporary:
            config.to_disk(temporary)


def write_raw(language: Language, assets: Path, output: Path, max_words: int) -> None:
    """Cut raw texts into those to read and those to measure perplexity on.

    RAISES ValueError: There are none.
    """
    paths = sorted(assets.glob("raw.*"))
    if len(paths) != 1:
        raise ValueError(f"{assets}: the raw text is one file, raw.txt or raw.jsonl, maybe packed.")
    lines: Dict[bool, List[str]] = {True: [], False: []}
    n_words = 0.0
    for i, record in enumerate(open_input(paths[0], Vocab()).records):
        if n_words >= max_words:
            break
        text = str(record.value)
        n_words += len(text.split()) if language.has_spaces else len(text) / 2
        lines[i % HELD_OUT == 0].append(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    for is_held_out, file in ((False, "raw.jsonl"), (True, "raw_heldout.jsonl")):
        with replacing(output / file) as temporary:
            temporary.write_text("".join(lines[is_held_out]), encoding="utf-8")
    msg.good(f"{output / 'raw.jsonl'}: about {n_words:,.0f} words")


def read_entities(language: Language, assets: Path) -> Dict[str, Documents]:
    """RETURNS: Documents of each part.
    RAISES ValueError: A file is wrong, or isn't there."""
    config = {"tokenizer": language.tokenizer} if language.tokenizer else {}
    nlp = spacy.blank(language.code, config={"nlp": config})

    def read(path: Path) -> Documents:
        if language.columns is None:
            return list(read_inline(path, nlp))
        return list(read_columns(path, nlp, language.begin, language.columns))

    return read_parts(language.entities, assets, read)


def read_trees(language: Language, assets: Path) -> Dict[str, Documents]:
    """RETURNS: Documents of each part, a sentence each.
    RAISES ValueError: A file is wrong, or isn't there."""

    def read(path: Path) -> Documents:
        text = path.read_text(encoding="utf-8")
        return [[doc] for doc in conllu_to_docs(text, n_sents=1, no_print=True)]

    return read_parts(language.trees, assets, read)


def read_parts(
    files: Dict[str, str], assets: Path, read: Callable[[Path], Documents]
) -> Dict[str, Documents]:
    """Read the file of each part. Without a part "dev", a tenth of "train" becomes it."""
    parts = {part: read(assets / file) for part, file in files.items()}
    if parts and "dev" not in parts:
        parts["train"], parts["dev"] = hold_out(parts["train"])
    return parts


def write_parts(parts: Dict[str, Documents], output: Path) -> None:
    """Write a .spacy file for each part."""
    for part, documents in parts.items():
        docs = [doc for document in documents for doc in document]
        write_docs(docs, output / f"{part}.spacy")
        counts = ", ".join(f"{n} {label}" for label, n in count_labels(docs).most_common(6))
        msg.good(f"{output / part}.spacy: {len(docs)} texts, {counts}")


if __name__ == "__main__":
    typer.run(main)
