"""``python -m spacy elmo download``"""

from typing import Optional

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
) -> None:
    """Fetch a biLM into the cache, from where it is read from then on."""
    if list_names:
        names = [(name, bilm.description) for name, bilm in PUBLISHED.items()]
        msg.table(names, header=("Name", "Trained on"))
        return
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
