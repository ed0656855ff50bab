"""``python -m spacy elmo init-config``"""

from pathlib import Path
from typing import Optional

import typer
from spacy.cli._util import string_to_list
from wasabi import msg

from ..formats.files import replacing
from ._choices import check_source, find_language, find_source
from ._shipped import shipped_config
from ._starter import Optimize, make_config, to_text

_STDOUT = "-"
_FALLBACK = "en_small"


def init_config(
    context: typer.Context,
    output: Path = typer.Argument(
        ..., help="The config to write, or - for standard output", allow_dash=True
    ),
    lang: str = typer.Option("en", "--lang", "-l", help="Code of the language, such as de"),
    pipeline: str = typer.Option(
        "tagger,parser,ner",
        "--pipeline",
        "-p",
        help="Components, separated by commas (without elmo and tok2vec, which are added)",
    ),
    optimize: Optimize = typer.Option(
        Optimize.accuracy,
        "--optimize",
        "-o",
        help="accuracy: as the configs that come with the package. speed: the biLM in int8, and a "
        "smaller network behind it",
    ),
    source: Optional[str] = typer.Option(
        None,
        help="Weights of the biLM: a bundled or published name, a path or a URL (default: the "
        "language's)",
    ),
    vectors: Optional[str] = typer.Option(
        None, help="A pipeline with static vectors, which become features of a word, too"
    ),
    copy: Optional[str] = typer.Option(
        None,
        metavar="NAME",
        help="Write a config that comes with the package, as it is: ner, textcat, tagger_parser, "
        "spancat or pretrain",
    ),
    force: bool = typer.Option(False, "--force", "-F", help="Replace the output if it exists"),
) -> None:
    """Write a config that trains a pipeline on ELMo, complete but for the paths of the data."""
    is_stdout = str(output) == _STDOUT
    try:
        if not is_stdout and output.exists() and (output.is_dir() or not force):
            hint = "is a directory." if output.is_dir() else "exists. --force replaces it."
            raise ValueError(f"{output} {hint}")
        if copy is not None:
            _check_alone(context)
            text = shipped_config(copy).read_text(encoding="utf-8")
        else:
            source = _source_for(lang, source)
            config = make_config(lang, string_to_list(pipeline), optimize, source, vectors)
            text = to_text(config)
        if is_stdout:
            typer.echo(text, nl=False)
            return
        with replacing(output) as temporary:
            temporary.write_bytes(text.encode("utf-8"))
    except (ValueError, OSError, ImportError) as error:
        msg.fail("Can't make a config", str(error), exits=1)
    msg.good(f"Wrote {output}")
    program, data = ("elmo pretrain", "TEXT") if copy == "pretrain" else ("train", "DATA.spacy")
    kb = " --paths.kb KB" if "${paths.kb}" in text else ""
    typer.echo(
        f"python -m spacy {program} {output} --output DIR --paths.train {data} --paths.dev {data}"
        + kb
    )


def _check_alone(context: typer.Context) -> None:
    """RAISES ValueError: --copy isn't the only option that says what to write."""
    for name in ("lang", "pipeline", "optimize", "source", "vectors"):
        origin = context.get_parameter_source(name)
        if origin is not None and origin.name == "COMMANDLINE":
            raise ValueError(
                f"--copy writes a config as it is: leave out --{name}, or change it in the copy."
            )


def _source_for(lang: str, source: Optional[str]) -> str:
    """Where a config's biLM comes from.

    lang: Code of the language.
    source: As it was asked for; None for the language's own.
    RAISES ValueError: There is no such biLM, or no such language.
    """
    if source is not None:
        check_source(source)
        return source
    try:
        return find_source(find_language(lang))
    except LookupError:
        # On standard error, in case the config goes to standard output.
        typer.echo(
            f"No biLM of '{lang}' is known by name, so the config has {_FALLBACK}, which has read "
            "English. --source names another one; 'python -m spacy elmo pretrain' trains one.",
            err=True,
        )
        return _FALLBACK
