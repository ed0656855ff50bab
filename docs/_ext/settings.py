"""``{settings} module:name``: what a config can name, from its own signature and docstring.

For a registered function: its block with the default values, what it does, and each argument. For
a section's schema: each of its fields.
"""

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import srsly
from docstrings import arguments_of, parse
from docutils import nodes
from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Settings(SphinxDirective):
    """The argument is ``module:name``; the content the first lines of the block in a config."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].partition(":")
        target = getattr(importlib.import_module(module), name)
        return self.parse_text_to_nodes("\n".join(_page(target, list(self.content))))


def _page(target: Any, block: list[str]) -> Iterator[str]:
    """YIELDS: Lines of Markdown.

    target: A registered function or a schema.
    block: The first lines of its block.
    """
    fields = parse(inspect.getdoc(target) or "", arguments_of(target))
    if block:
        yield from ["```ini", *block, *_defaults(target), "```", ""]
    for field in fields:
        text = "\n".join(field.lines).replace("``", "`")
        if field.kind == "text":
            yield from ["", _without_name(text), ""]
        elif field.kind == "param":
            joined = text.replace("\n", " ")
            yield from [", ".join(f"`{name}`" for name in field.names), f": {joined}", ""]


def _without_name(text: str) -> str:
    """A docstring may begin with the name of its section or function, which is the heading here."""
    rest = re.sub(r"^(?:`\[\w+\]`|spacy-elmo\.\w+\.v\d)[.:] ?", "", text)
    return rest[:1].upper() + rest[1:] if rest != text else text


def _defaults(target: Any) -> Iterator[str]:
    """The lines of arguments that have a default value, as a config has them."""
    if isinstance(target, type) and issubclass(target, BaseModel):
        return
    for name, parameter in inspect.signature(target).parameters.items():
        if parameter.default is not inspect.Parameter.empty and name not in ("nlp", "name"):
            yield f"{name} = {srsly.json_dumps(parameter.default)}"


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("settings", Settings)
    return {"parallel_read_safe": True}
