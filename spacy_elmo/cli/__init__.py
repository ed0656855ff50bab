"""``python -m spacy elmo …``"""

import typer

from .convert import convert
from .info import info

elmo_cli = typer.Typer(name="elmo", help="Inspect and convert biLMs.", no_args_is_help=True)
elmo_cli.command("info")(info)
elmo_cli.command("convert")(convert)

__all__ = ["elmo_cli"]
