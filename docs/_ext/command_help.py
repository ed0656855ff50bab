"""``{command-help}``: all commands of ``python -m spacy elmo``, from what their ``--help`` is made
of."""

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from typer.models import ArgumentInfo, OptionInfo

from spacy_elmo.cli import elmo_cli

_TYPES = {str: "TEXT", int: "INTEGER", float: "FLOAT", Path: "PATH"}


class CommandHelp(SphinxDirective):
    """Without arguments; a section for each command."""

    def run(self) -> list[nodes.Node]:
        commands = elmo_cli.registered_commands
        lines = [line for c in commands for line in _section(str(c.name), c.callback)]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def _section(name: str, callback: Any) -> Iterator[str]:
    """YIELDS: Lines of Markdown."""
    types = get_type_hints(callback)
    parameters = inspect.signature(callback).parameters.items()
    arguments = {key: p.default for key, p in parameters if isinstance(p.default, ArgumentInfo)}
    options = {key: p.default for key, p in parameters if isinstance(p.default, OptionInfo)}
    names = {key: _metavar(key, info, types[key]) for key, info in arguments.items()}
    usage = " ".join(["python -m spacy elmo", name, *names.values(), "[OPTIONS]"])
    yield from [
        f"## {name}",
        "",
        "```text",
        usage,
        "```",
        "",
        _escape(inspect.getdoc(callback) or ""),
        "",
    ]
    for key, info in arguments.items():
        yield from [f"`{names[key]}`", f": {_text(info)}", ""]
    for key, info in options.items():
        declared = info.param_decls or (f"--{key.replace('_', '-')}",)
        if _bare(types[key]) is bool and info.default is True and not info.param_decls:
            declared = (*declared, f"--no-{key.replace('_', '-')}")
        shown = ", ".join(f"`{part}`" for part in declared)
        yield from [f"{shown}{_values(types[key])}", f": {_text(info)}", ""]


def _bare(annotation: Any) -> Any:
    """``str`` of ``Optional[str]``."""
    if get_origin(annotation) is Union:
        [annotation] = [each for each in get_args(annotation) if each is not type(None)]
    return annotation


def _metavar(key: str, info: Any, annotation: Any) -> str:
    name = key.upper() + ("..." if get_origin(annotation) is list else "")
    return name if info.default is ... else f"[{name}]"


def _values(annotation: Any) -> str:
    """What an option takes."""
    annotation = _bare(annotation)
    if annotation is bool:
        return ""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " " + " or ".join(f"`{each.value}`" for each in annotation)
    return f" {_TYPES[annotation]}"


def _text(info: Any) -> str:
    """Its help and its default value."""
    text = _escape(info.help or "").rstrip(".")
    default = getattr(info.default, "value", info.default)
    if default in (None, False, True, "", ...) or "default:" in text:
        return f"{text}."
    return f"{text}. Default: `{default}`."


def _escape(text: str) -> str:
    """Options in sentences become code; Markdown would make one dash of two."""
    return re.sub(r"(?<![\w`'])(--[\w.-]*\w)", r"`\1`", text).replace("*", r"\*")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
