"""Write requests as JSON lines: those that are to be learned from, and those that are not meant for
the service and have to be told from the others, too."""

import json
from pathlib import Path
from typing import Dict, Iterable, Iterator, List

import spacy
import typer
from wasabi import msg

from spacy_elmo.projects.corpora.inline import read_inline

OUT_OF_SCOPE = "out_of_scope"
PARTS = ("train", "dev", "test")
Rows = List[Dict[str, object]]


def main(
    source: Path = typer.Argument(
        ..., exists=True, help="CLINC150's JSON, or a folder of train, dev and test.txt"
    ),
    output: Path = typer.Argument(..., help="Folder for JSON lines"),
) -> None:
    """Write train, dev and test with requests that have an intent, dev_all and test_all with the
    others beside them."""
    try:
        parts = read_clinc(source) if source.is_file() else read_folder(source)
    except ValueError as error:
        msg.fail("Can't read", str(error), exits=1)
    output.mkdir(parents=True, exist_ok=True)
    for part, rows in parts.items():
        meant = [row for row in rows if "label" in row]
        write_lines(meant, output / f"{part}.jsonl")
        if part != "train":
            write_lines(rows, output / f"{part}_all.jsonl")
        others = len(rows) - len(meant)
        msg.good(f"{output / part}.jsonl: {len(meant)} requests, {others} others beside them")


def read_folder(folder: Path) -> Dict[str, Rows]:
    """Files of this project's form: a line "# intent", then requests with their entities in place,
    "To [Oban](STATION).".

    RAISES ValueError: A request stands above the first intent, or one is of another form.
    """
    parts = {}
    for part in PARTS:
        path = folder / f"{part}.txt"
        if not path.is_file():
            raise ValueError(f"{path}: there is no such file.")
        parts[part] = list(_read_requests(path))
    return parts


def _read_requests(path: Path) -> Iterator[Dict[str, object]]:
    intent = ""
    for [doc] in read_inline(path, spacy.blank("en")):
        if doc.text.startswith("# "):
            intent = doc.text[2:].strip()
            continue
        if not intent:
            raise ValueError(f"{path}: there is no line '# intent' above: {doc.text}")
        spans = [
            {"start": entity.start_char, "end": entity.end_char, "label": entity.label_}
            for entity in doc.ents
        ]
        yield _row(doc.text, intent, spans)


def read_clinc(path: Path) -> Dict[str, Rows]:
    """CLINC150. What is out of scope is left out of the training texts.

    RAISES ValueError: It is of another form.
    """
    parts = {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        for part, name in zip(PARTS, ("train", "val", "test"), strict=True):
            others = [] if part == "train" else data[f"oos_{name}"]
            pairs = [*data[name], *((text, OUT_OF_SCOPE) for text, _ in others)]
            parts[part] = [_row(text, intent, []) for text, intent in pairs]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not CLINC150: {error!r}") from error
    return parts


def _row(text: str, intent: str, spans: List[Dict[str, object]]) -> Dict[str, object]:
    return {"text": text, "spans": spans, **({} if intent == OUT_OF_SCOPE else {"label": intent})}


def write_lines(rows: Iterable[Dict[str, object]], path: Path) -> None:
    """Write a file."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    typer.run(main)
