"""The scripts of projects, which have their names for themselves: several have a ``prepare.py``."""

import sys
from contextlib import contextmanager
from pathlib import Path

PROJECTS = Path(__file__).parents[1] / "projects"


@contextmanager
def scripts_of(project):
    """Within it, the scripts of a project can be imported."""
    folder = str(PROJECTS / project / "scripts")
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(folder):
                del sys.modules[name]
