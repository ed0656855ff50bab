"""What a config asks for. ``schemas`` checks its sections, ``resolve`` makes what they name."""

from .resolve import Settings, resolve
from .schemas import InitializeSettings, VocabularySettings

__all__ = [
    "InitializeSettings",
    "Settings",
    "VocabularySettings",
    "resolve",
]
