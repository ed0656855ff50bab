"""The project's docstrings for Sphinx.

They tell what they take in spaCy's manner: a line ``name: text`` or ``name (type): text`` for each
argument, then ``RETURNS: text``, ``YIELDS: text`` and ``RAISES Error: text``. Sphinx has fields for
that: ``:param name: text``.
"""

import inspect
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from sphinx.application import Sphinx

_FIELD = re.compile(
    r"^(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: \((?P<type>.+?)\))?: (?P<text>.*)$"
)
_RESULT = re.compile(r"^(?P<kind>RETURNS|YIELDS|RAISES)(?: (?P<errors>[\w, ]+))?: (?P<text>.*)$")


class Field(NamedTuple):
    """A part of a docstring.

    kind: "text", "param", "RETURNS", "YIELDS" or "RAISES".
    names: Of the arguments or the errors.
    lines: The text, from where it begins.
    """

    kind: str
    names: tuple[str, ...]
    lines: list[str]


def parse(docstring: str, arguments: set[str]) -> list[Field]:
    """Cut a docstring into its parts.

    docstring: As ``inspect.cleandoc`` gives it.
    arguments: What is documented with its name; another word before a colon is text.
    """
    fields = [Field("text", (), [])]
    for line in docstring.splitlines():
        result, field = _RESULT.match(line), _FIELD.match(line)
        names = tuple(field["names"].replace("*", "").split(", ")) if field else ()
        if result:
            errors = tuple((result["errors"] or "").split(", "))
            fields.append(Field(result["kind"], errors, [result["text"]]))
        elif field and set(names) <= arguments:
            fields.append(Field("param", names, [field["text"]]))
        elif line and not line[0].isspace() and fields[-1].kind != "text":
            fields.append(Field("text", (), [line]))
        else:
            fields[-1].lines.append(line.strip() if fields[-1].kind != "text" else line)
    return fields


def arguments_of(target: Any) -> set[str]:
    """The names that the docstring of a function or a class explains."""
    names = set(getattr(target, "__annotations__", ()))
    with suppress(TypeError, ValueError):  # of what isn't a function or a class
        names |= set(inspect.signature(target).parameters)
    return names - {"self", "cls", "return"}


def to_fields(fields: list[Field]) -> Iterator[str]:
    """YIELDS: The lines of a docstring as Sphinx reads it."""
    names = {"RETURNS": "returns", "YIELDS": "yields"}
    for field in fields:
        if field.kind == "text":
            yield from ["", *field.lines, ""]
            continue
        text = " ".join(line for line in field.lines if line)
        if field.kind in names:
            yield f":{names[field.kind]}: {text}"
        else:
            role = "param" if field.kind == "param" else "raises"
            for name in field.names:
                yield f":{role} {name}: {text}"


def _process(
    app: Sphinx, what: str, name: str, target: Any, options: Any, lines: list[str]
) -> None:
    lines[:] = list(to_fields(parse("\n".join(lines), arguments_of(target))))


def _skip(app: Sphinx, what: str, name: str, target: Any, skip: bool, options: Any) -> bool:
    """The fields of named tuples are told by the class's docstring; pydantic's members aren't
    ours."""
    doc = inspect.getdoc(target) or ""
    return skip or doc.startswith("Alias for field number") or name.startswith("model_")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _process)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True}
