"""Where files that can be made again are kept."""

import os
import sys
from pathlib import Path


def cache_directory() -> Path:
    """The user's cache directory for this package: ``SPACY_ELMO_CACHE`` if it is set, else a folder
    where the platform keeps caches. It may not exist yet."""
    chosen = os.environ.get("SPACY_ELMO_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "spacy-elmo"
