"""``python -m spacy elmo download``"""

from typing import Optional

import typer
from wasabi import msg

from ..api import BiLM
from ..formats import PUBLISHED, resolve_source


def download(
    source: Optional[str] = typer.Argument(None, help="A published name or a URL"),
    list_names: bool = typer.Option(False, "--list", help="Print the published names"),
) -> None:
    """Fetch a biLM into the cache, from where it is read from then on."""
    if list_names:
        rows = [(name, bilm.description) for name, bilm in PUBLISHED.items()]
        msg.table(rows, header=("Name", "Trained on"))
        return
    if source is None:
        raise typer.BadParameter("Give a source, or --list to see the published names.")
    try:
        local = resolve_source(source)
        bilm = BiLM.load(source)
    except ValueError as error:
        msg.fail(f"Can't download '{source}'", str(error), exits=1)
    files = local if isinstance(local, tuple) else (local,)
    parameters = sum(parameter.numel() for parameter in bilm.network.parameters())
    rows = [("File", str(path)) for path in files]
    rows.append(("Layers", f"{bilm.config.n_layers} of width {bilm.config.width}"))
    rows.append(("Parameters", f"{parameters:,}"))
    if source in PUBLISHED:
        published = PUBLISHED[source]
        rows.append(("Trained on", published.description))
        rows.append(("Licence", published.licence or "not stated by its authors"))
        rows.append(("Cite", published.citation))
    msg.good(f"'{source}' is here")
    msg.table(rows)
