"""``python -m spacy elmo explore``"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import List, Optional

import torch
import typer
from wasabi import msg

from .. import explore as room
from ..explore.building import MAX_WORDS
from ..urls import shown
from ._help import SOURCE, TEXTS

PAGE = Path(room.__file__).with_name("page.py")
_NEEDED = ("streamlit", "sklearn")


def explore(
    source: str = typer.Argument(..., help=f"A trained pipeline, or a biLM: {SOURCE}"),
    text: List[str] = typer.Argument(..., help=f"{TEXTS}: files, directories, patterns or URLs"),
    max_words: int = typer.Option(
        MAX_WORDS,
        "--max-words",
        min=1,
        help="How many words of the texts are read, from their beginning. A million works, and "
        "takes minutes the first time",
    ),
    lang: str = typer.Option(
        "en", "--lang", "-l", help="Language of the tokenizer; a pipeline has its own"
    ),
    gpu_id: int = typer.Option(-1, "--gpu-id", "-g", help="GPU that reads the texts, or -1: CPU"),
    port: Optional[int] = typer.Option(None, "--port", help="Of the page (default: 8501)"),
    browser: bool = typer.Option(True, "--browser/--no-browser", help="Open a browser"),
) -> None:
    """Look in the browser at what a biLM knows of words in context.

    The nearest words in TEXT of each word of a sentence, by any weighting of the layers; a map of a
    word's occurrences; what listeners have learned; and how surprising words are. The texts are
    read once, and their index is kept in the cache.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        msg.fail(
            f"The page needs {' and '.join(missing)}",
            "pip install 'spacy-elmo[explore]'",
            exits=1,
        )
    try:
        if gpu_id >= 0 and not torch.cuda.is_available():
            raise ValueError("PyTorch finds no GPU. Leave out --gpu-id.")
        device = "cpu" if gpu_id < 0 else f"cuda:{gpu_id}"
        subject = room.open_subject(source, lang, device)
        index = room.find_or_build_index(subject, text, max_words)
    except (ValueError, OSError, ImportError) as error:
        msg.fail(f"Can't explore '{shown(source)}'", str(error), exits=1)
    del subject  # the page opens its own
    msg.good(f"The index of the texts is in {index}")
    try:
        code = subprocess.run(page_command([source, str(index), lang], port, browser)).returncode
    except KeyboardInterrupt:  # which the page has got, too
        code = 0
    raise typer.Exit(code)


def page_command(arguments: List[str], port: Optional[int], browser: bool) -> List[str]:
    """What starts the page: on this machine alone, and without sending statistics of its use."""
    options = {
        "server.address": "localhost",
        "server.headless": str(not browser).lower(),
        "server.showEmailPrompt": "false",
        "server.fileWatcherType": "none",
        "client.toolbarMode": "minimal",
        "browser.gatherUsageStats": "false",
        **({} if port is None else {"server.port": str(port)}),
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "streamlit", "run", str(PAGE), *flags, "--", *arguments]
