"""``python -m spacy elmo …``"""

import typer
from spacy.cli._util import app

from .convert import convert
from .download import download
from .embed import embed
from .evaluate import evaluate
from .explore import explore
from .info import info
from .init_config import init_config
from .pretrain import pretrain
from .push import push
from .vocab import vocab

elmo_cli = typer.Typer(
    name="elmo", help="Fetch, inspect, convert, push, apply and train biLMs.", no_args_is_help=True
)
elmo_cli.command("info")(info)
elmo_cli.command("convert")(convert)
elmo_cli.command("download")(download)
elmo_cli.command("push")(push)
elmo_cli.command("embed")(embed)
elmo_cli.command("vocab")(vocab)
elmo_cli.command(
    "pretrain", context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)(pretrain)
elmo_cli.command("evaluate")(evaluate)
elmo_cli.command("explore")(explore)
elmo_cli.command("init-config")(init_config)
app.add_typer(elmo_cli)  # spaCy loads the entry point and leaves it to the module to do this

__all__ = ["elmo_cli"]
