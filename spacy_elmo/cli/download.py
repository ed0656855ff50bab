"""``python -m spacy elmo download``"""

import re
from typing import List, Optional

import typer
from wasabi import msg

from ..api import BiLM
from ..formats import PUBLISHED, resolve_source
from ..urls import shown
from ._card import bilm_rows, card_rows
from ._help import SOURCE


def download(
    source: Optional[str] = typer.Argument(None, help=SOURCE),
    list_names: bool = typer.Option(False, "--list", help="Print the published names"),
    lang: Optional[str] = typer.Option(
        None, "--lang", help="With --list: only this language's, by its code or name (de, German)"
    ),
) -> None:
    """Fetch a biLM into the cache, from where it is read from then on."""
    if list_names:
        _list_names(lang)
        return
    if lang is not None:
        raise typer.BadParameter("--lang chooses among the names that --list prints.")
    if source is None:
        raise typer.BadParameter("Give a source, or --list to see the published names.")
    try:
        local = resolve_source(source)
        files = local if isinstance(local, tuple) else (local,)
        rows = [("File", str(path)) for path in files]
        try:
            rows.extend(bilm_rows(BiLM.load(source)).items())
        except ImportError as error:  # it is here all the same
            msg.warn(f"Can't read '{shown(source)}' yet", str(error))
        rows.extend(card_rows(source).items())
    except (ValueError, OSError, ImportError) as error:
        msg.fail(f"Can't download '{shown(source)}'", str(error), exits=1)
    msg.good(f"'{shown(source)}' is here")
    msg.table(rows)


def _list_names(lang: Optional[str]) -> None:
    """Print what is published, of one language or of all."""
    rows = [
        (name, bilm.language, bilm.words or "?", bilm.licence or "?", bilm.warning or "")
        for name, bilm in PUBLISHED.items()
        if lang is None or lang.lower() in (bilm.lang, *_words(bilm.language))
    ]
    if not rows:
        codes = sorted({bilm.lang for bilm in PUBLISHED.values()})
        msg.fail(f"Nothing is published for '{lang}'", f"Languages: {', '.join(codes)}", exits=1)
    header = ("Name", "Language", "Words", "Licence", "Warning")
    msg.table(rows, header=header, divider=True, max_col=60)


def _words(language: str) -> List[str]:
    """A language's name, and the words in it."""
    return [language.lower(), *re.findall(r"\w+", language.lower())]
