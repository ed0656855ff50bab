"""``python -m spacy_elmo.projects assets``"""

from pathlib import Path

import typer
from wasabi import msg
from weasel.cli.assets import project_assets
from weasel.util import get_checksum, load_project_config


def assets(
    project: Path = typer.Argument(Path("."), exists=True, file_okay=False, help="The project"),
) -> None:
    """Fetch what project.yml names, as 'weasel assets' does, and fail if a file isn't as it should
    be. What lies in place already isn't fetched."""
    project_assets(project)
    problems = []
    for asset in load_project_config(project)["assets"]:
        path, checksum = project / asset["dest"], asset.get("checksum")
        if not path.exists():
            problems.append(f"{path}: couldn't be fetched from {asset.get('url')}. Put it there.")
        elif checksum and get_checksum(path) != checksum:
            problems.append(f"{path}: its checksum isn't {checksum}. Delete it and try again.")
    if problems:
        msg.fail("Assets are missing or wrong", "\n".join(problems), exits=1)
