"""Measure a biLM on one file after the other by ``spacy elmo evaluate``."""

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Dict, List

import typer
from wasabi import msg

from spacy_elmo.cli import elmo_cli
from spacy_elmo.formats.files import replacing
from spacy_elmo.pretraining.corpus import TextFiles
from spacy_elmo.projects.compare import markdown

HEADER = ("sentences", "text", "words", "unknown (%)", "forward", "backward", "both")


def main(
    model: Path = typer.Argument(..., exists=True, help="A biLM with its softmax"),
    output: Path = typer.Argument(..., help="What was measured, JSON"),
    texts: List[Path] = typer.Argument(..., exists=True, help="Files and folders of held-out text"),
) -> None:
    """Write each file's perplexities, and print them as a table."""
    try:
        files = TextFiles([str(path) for path in texts]).files()
    except (ValueError, OSError) as error:
        msg.fail("Can't measure", str(error), exits=1)
    results = [measure(model, file) for file in files]
    with replacing(output) as temporary:
        temporary.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(write_perplexities(results))


def measure(model: Path, file: str) -> Dict[str, Any]:
    """RETURNS: What ``spacy elmo evaluate --json`` says. Where that fails, this ends, too."""
    said = StringIO()
    try:
        with redirect_stdout(said):
            elmo_cli(["evaluate", str(model), file, "--json"], standalone_mode=False)
    except SystemExit:
        print(said.getvalue())  # the reason
        raise
    result: Dict[str, Any] = json.loads(said.getvalue())
    return result


def title_of(result: Dict[str, Any]) -> str:
    """The name of a file without its endings, with that of its folder."""
    path = Path(result["texts"][0])
    return f"{path.parent.name}/{path.name.partition('.')[0]}"


def write_perplexities(results: List[Dict[str, Any]]) -> str:
    """RETURNS: Markdown, a row for each file: every sentence from a zero state."""
    rows = [
        [
            f"{result['n_sentences']:,}",
            title_of(result),
            f"{result['n_words']:,}",
            f"{100 * result['n_unknown'] / result['n_words']:.1f}",
            *(f"{result['perplexity']['zero'][name]:,.0f}" for name in HEADER[-3:]),
        ]
        for result in results
    ]
    return markdown(HEADER, rows)


if __name__ == "__main__":
    typer.run(main)
