"""Where files that can be made again are kept."""

import os
from pathlib import Path

from platformdirs import user_cache_dir


def cache_directory() -> Path:
    """The user's cache directory for this package: ``SPACY_ELMO_CACHE`` if it is set, else where
    the platform keeps caches (on Linux ``~/.cache/spacy-elmo``, or below ``XDG_CACHE_HOME``). It
    may not exist yet."""
    chosen = os.environ.get("SPACY_ELMO_CACHE")
    return Path(chosen).expanduser() if chosen else Path(user_cache_dir("spacy-elmo", False))
