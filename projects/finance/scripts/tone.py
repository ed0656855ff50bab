"""The tone of statements over the years, by a classifier of sentences."""

import csv
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Tuple

import numpy as np
import spacy
import typer
from spacy.language import Language
from statements import read_statements, spread
from wasabi import msg

from spacy_elmo.formats.files import replacing
from spacy_elmo.projects.plots.style import SYSTEM_STYLES, new_figure, plain, save
from spacy_elmo.projects.systems import TITLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STRONGER, WEAKER = "stronger", "weaker"
# Recessions of the United States as the NBER dates them: years with tenths.
RECESSIONS = [(1990.5, 1991.2), (2001.2, 2001.9), (2007.9, 2009.5), (2020.1, 2020.3)]


class Tone(NamedTuple):
    """mean: Of what sentences say: 1 all stronger, -1 all weaker.
    error: Of the mean, by how much sentences differ.
    n_sentences: Of the year."""

    mean: float
    error: float
    n_sentences: int


def main(
    statements: Path = typer.Argument(..., exists=True, help="JSON lines: text, date"),
    output: Path = typer.Argument(..., help="Table and picture, without suffix"),
    models: List[Path] = typer.Argument(..., help="Classifiers of sentences, by 'learn'"),
    from_text: bool = typer.Option(False, help="Without a date: the latest year a text names"),
    since: int = typer.Option(0, help="Leave out the years before"),
    most: int = typer.Option(0, help="Texts of a year at most; 0 for all"),
    fewest: int = typer.Option(10, help="Sentences that a year needs to be drawn"),
    recessions: bool = typer.Option(False, help="Shade recessions of the United States"),
    title: str = typer.Option("", help="Stands above the picture"),
) -> None:
    """Classify every sentence, and average by year."""
    try:
        rows = read_statements(statements, from_text)
        now = date.today().year  # a text that speaks of a year to come isn't of that year
        years = spread((row for row in rows if since <= row.year <= now), most)
    except (ValueError, ImportError) as error:
        msg.fail("Can't read", str(error), exits=1)
    tones: Dict[str, Dict[int, Tone]] = {}
    for path in models:
        nlp = spacy.load(path)
        own = {year: measure(nlp, texts) for year, texts in years.items()}
        kept = {year: tone for year, tone in own.items() if tone.n_sentences >= fewest}
        tones[path.parent.name.split("-")[0]] = kept
    write_table(tones, output.with_name(f"{output.name}.csv"))
    figure = draw(tones, RECESSIONS if recessions else [], title)
    msg.good(", ".join(map(str, save(figure, output))))


def measure(nlp: Language, texts: List[str]) -> Tone:
    """RETURNS: What the texts' sentences say together.
    RAISES ValueError: The pipeline has other categories."""
    cutter = spacy.blank("en")
    cutter.add_pipe("sentencizer")
    cutter.max_length = 10**7
    sentences = [s.text.strip() for doc in cutter.pipe(texts) for s in doc.sents if len(s) > 3]
    scores = []
    for doc in nlp.pipe(sentences):
        if not {STRONGER, WEAKER} <= set(doc.cats):
            raise ValueError(f"The pipeline's categories aren't {STRONGER} and {WEAKER}.")
        scores.append(doc.cats[STRONGER] - doc.cats[WEAKER])
    n = len(scores)
    error = float(np.std(scores) / n**0.5) if n else 0.0
    return Tone(float(np.mean(scores)) if n else 0.0, error, n)


def write_table(tones: Dict[str, Dict[int, Tone]], path: Path) -> None:
    """CSV: a row for each system and year."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["system", "year", "tone", "standard error", "sentences"])
        for system, years in tones.items():
            for year, tone in years.items():
                writer.writerow([system, year, f"{tone.mean:.4f}", f"{tone.error:.4f}", tone[2]])


def draw(
    tones: Dict[str, Dict[int, Tone]], recessions: List[Tuple[float, float]], title: str
) -> "Figure":
    """A line for each system, with two standard errors as a band."""
    figure = new_figure(9, 4.2)
    axes = figure.subplots()
    plain(axes, title)
    for system, years in tones.items():
        colour, marker = SYSTEM_STYLES.get(system, ("#888888", "x"))
        x = [year + 0.5 for year in years]
        mean = np.array([tone.mean for tone in years.values()])
        band = 2 * np.array([tone.error for tone in years.values()])
        label = TITLES.get(system, system)
        axes.plot(x, mean, color=colour, marker=marker, markersize=4, linewidth=1.6, label=label)
        axes.fill_between(x, mean - band, mean + band, color=colour, alpha=0.15, linewidth=0)
    first, last = axes.get_xlim()
    for i, (begin, end) in enumerate(recessions):
        label = "recession (NBER)" if i == 0 else None
        axes.axvspan(begin, end, color="#E69F00", alpha=0.35, linewidth=0, label=label)
    axes.set_xlim(first, last)
    axes.axhline(0, color="#888888", linewidth=0.8)
    axes.set_xlabel("year")
    axes.set_ylabel("tone: 1 stronger, \N{MINUS SIGN}1 weaker,\nmean of sentences")
    axes.legend(frameon=True, framealpha=0.9, loc="best", fontsize=9)
    return figure


if __name__ == "__main__":
    typer.run(main)
