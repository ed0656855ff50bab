"""``python -m spacy elmo push``"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Dict, Optional, Union

import typer
from wasabi import msg

from ..api import BiLM
from ..formats import PUBLISHED, MissingVocabulary, SoftmaxWeights, pin_source, read_softmax
from ..formats.hub import HubSource, import_hub
from ..formats.hub_upload import push_files
from ..formats.native import CONFIG_NAME, SOFTMAX_NAME, VOCABULARY_NAME, WEIGHTS_NAME
from ..urls import shown
from ._card import bilm_rows, card_rows, find_licence, weights_folder
from ._help import SOURCE, VOCABULARY
from ._hub_card import names_licence, own_card, short_card, with_header


def push(
    model: str = typer.Argument(..., help=SOURCE),
    repository: str = typer.Argument(..., help="OWNER/NAME on the hub; made if need be"),
    revision: Optional[str] = typer.Option(
        None, help="The branch, made if need be (default: the main one)"
    ),
    private: bool = typer.Option(False, "--private", help="Make a new repository private"),
    licence: Optional[str] = typer.Option(
        None,
        "--licence",
        "--license",
        help="The weights' licence: mit, cc-by-4.0, … (default: what the biLM's card says)",
    ),
    lang: Optional[str] = typer.Option(
        None, "--lang", help="The language's code: en, de, … (default: what the biLM's card says)"
    ),
    message: str = typer.Option("Push a biLM", help="Of the commit"),
    vocabulary: Optional[Path] = typer.Option(
        None, "--vocabulary", exists=True, dir_okay=False, help=VOCABULARY
    ),
) -> None:
    """Push a biLM to the Hugging Face Hub, from where the source hf:OWNER/NAME loads it.

    What is pushed is a native directory (config.json, model.safetensors, the softmax if there is
    one) with its model card, whose header names library, licence and language. It replaces the
    files of these names. The token is that of HF_TOKEN or 'hf auth login'.
    """
    try:
        if "@" in repository:
            raise ValueError(f"'{repository}': a branch is given by --revision.")
        at = f"@{revision}" if revision is not None else ""
        target = HubSource.parse(f"hf:{repository.removeprefix('hf:')}{at}")
        hub = import_hub("push to", target)
        source = str(pin_source(model))
        bilm = BiLM.load(source)  # so that nothing is pushed that can't be read
        softmax = _read_softmax(source, vocabulary)
        card = own_card(weights_folder(source))
        lang = lang or (PUBLISHED[source].lang if source in PUBLISHED else None)
        rows = card_rows(source)
        if card is None:
            licence = licence or (rows["Licence"] if rows["Licence"] != "unknown" else None)
            rows = {**bilm_rows(bilm), **rows, **({"Licence": licence} if licence else {})}
            card = short_card(source, target.repository, rows, lang)
        elif licence is None and not names_licence(card):
            licence = find_licence(weights_folder(source))
        card = with_header(hub, card, licence, lang)
        with TemporaryDirectory() as folder:
            files = _native_files(source, bilm, softmax, Path(folder))
            url = push_files(target, {**files, "README.md": card.encode()}, message, private)
    except (ValueError, OSError, ImportError) as error:
        msg.fail(f"Can't push '{shown(model)}'", str(error), exits=1)
    if not names_licence(card):
        msg.warn("The card says nothing of a licence", "Nobody may use the weights without one.")
    msg.good(f"Pushed {url}")
    msg.info(f"The source is {target}")


def _read_softmax(source: str, vocabulary: Optional[Path]) -> Optional[SoftmaxWeights]:
    try:
        return read_softmax(source, vocabulary)
    except MissingVocabulary as error:
        msg.warn("The softmax is left out", f"{error} (--vocabulary)")
        return None


def _native_files(
    source: str, bilm: BiLM, softmax: Optional[SoftmaxWeights], folder: Path
) -> Dict[str, Union[Path, bytes]]:
    """The files of a native directory: the source's own as they are, if it is one, or new ones.

    folder: An empty one to write them to.
    """
    own = weights_folder(source)
    if not (own / WEIGHTS_NAME).is_file():
        bilm.save(folder, softmax=softmax)
        own = folder
    names = [CONFIG_NAME, WEIGHTS_NAME]
    if softmax is not None:
        names += [VOCABULARY_NAME, SOFTMAX_NAME]
    return {name: own / name for name in names}
