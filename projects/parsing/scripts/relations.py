"""Draw which words' heads and relations are found, by relation, and by the distance of a word from
its head."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Tuple

import spacy
import typer
from spacy.tokens import Token
from spacy.training import Corpus
from wasabi import msg

from spacy_elmo.projects.plots.style import SYSTEM_STYLES, new_figure, plain, save
from spacy_elmo.projects.systems import TITLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_RELATIONS = 12  # the most frequent
DISTANCES = {1: "1", 2: "2", 5: "3 to 5", 9: "6 to 9", 10**9: "10 or more"}
# By system, how many words of each kind there are, and of how many head and relation are right.
Counts = Dict[str, Tuple[Counter, Counter]]


def main(
    training: Path = typer.Argument(..., exists=True, help="Folder of pipelines, by 'learn'"),
    test: Path = typer.Argument(..., exists=True, help="A .spacy file that they haven't seen"),
    output: Path = typer.Argument(..., help="The picture, without suffix: PNG and SVG are written"),
    title: str = typer.Option("", help="Stands above the picture"),
) -> None:
    """Compare the pipelines that were trained on all texts; seeds are counted together."""
    relations, distances = count_all(training, test)
    if not relations:
        msg.fail("No pipelines", f"{training} has none that was trained on all texts", exits=1)
    figure = new_figure(9.5, 4.6)
    left, right = figure.subplots(1, 2, width_ratios=[1.2, 1])
    totals = next(iter(relations.values()))[0]
    draw(left, relations, [kind for kind, _ in totals.most_common(N_RELATIONS)], title)
    draw(right, distances, [kind for kind in DISTANCES.values() if kind in distances["stock"][0]])
    left.set_xlabel("relation of a word to its head (the most frequent first)")
    right.set_xlabel("distance of a word from its head (words)")
    left.set_ylabel("head and relation are right (% of words)")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    msg.good(", ".join(map(str, save(figure, output))))


def count_all(training: Path, test: Path) -> Tuple[Counts, Counts]:
    """Parse the texts with each pipeline. Punctuation doesn't count, as in spaCy's scores.

    RETURNS: By relation, and by distance.
    """
    relations: Counts = {}
    distances: Counts = {}
    for path in sorted(training.glob("*-100-*/model-best"), reverse=True):
        system = path.parent.name.split("-")[0]
        nlp = spacy.load(path)
        # With the words of the treebank, which the tokenizer may cut in other places.
        examples = list(Corpus(test, gold_preproc=True)(nlp))
        parsed = nlp.pipe([example.predicted for example in examples])
        for example, doc in zip(examples, parsed, strict=True):
            for true, found in zip(example.reference, doc, strict=True):
                if true.dep_ in ("punct", ""):
                    continue
                is_right = (true.head.i, true.dep_) == (found.head.i, found.dep_)
                for counts, kind in ((relations, true.dep_), (distances, distance_of(true))):
                    own = counts.setdefault(system, (Counter(), Counter()))
                    own[0][kind] += 1
                    own[1][kind] += is_right
    return relations, distances


def distance_of(token: Token) -> str:
    """How far its head is; a root has none, and is near."""
    distance = max(1, abs(token.head.i - token.i))
    return next(name for most, name in DISTANCES.items() if distance <= most)


def draw(axes: "Axes", counts: Counts, kinds: List[str], title: str = "") -> None:
    """A group of bars for each kind, a bar for each system."""
    plain(axes, title)
    axes.grid(False, axis="x")
    width = 0.8 / len(counts)
    for i, (system, (all_words, right)) in enumerate(counts.items()):
        shares = [100 * right[kind] / max(all_words[kind], 1) for kind in kinds]
        places = [place + (i - (len(counts) - 1) / 2) * width for place in range(len(kinds))]
        colour = SYSTEM_STYLES[system][0]
        label = TITLES[system]
        axes.bar(places, shares, 0.92 * width, color=colour, label=label)
    slant = 45 if len(kinds) > len(DISTANCES) else 0
    ends = {"ha": "right", "rotation_mode": "anchor"} if slant else {}
    axes.set_xticks(range(len(kinds)), kinds, rotation=slant, **ends)
    axes.set_ylim(0, 100)


if __name__ == "__main__":
    typer.run(main)
