"""The configs that come with the package."""

from pathlib import Path
from typing import Dict

_PACKAGE = Path(__file__).parent.parent
# Installed, they are a part of the package. In a clone, they stand beside it, also if the clone is
# installed as editable.
_FOLDERS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")


def shipped_configs() -> Dict[str, Path]:
    """The file of each config by its name, such as "ner"."""
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), _FOLDERS[0])
    return {path.stem: path for path in sorted(folder.glob("*.cfg"))}


def shipped_config(name: str) -> Path:
    """The file of one config.

    RAISES ValueError: There is none of that name.
    """
    configs = shipped_configs()
    if name not in configs:
        raise ValueError(f"There is no config '{name}'. There are: {', '.join(configs)}.")
    return configs[name]
