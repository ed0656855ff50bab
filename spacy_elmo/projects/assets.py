"""``python -m spacy_elmo.projects assets``"""

from pathlib import Path
from subprocess import SubprocessError
from typing import Any

import typer
from wasabi import msg
from weasel.cli.assets import fetch_asset
from weasel.util import get_checksum, git_checkout, load_project_config


def assets(
    project: Path = typer.Argument(Path("."), exists=True, file_okay=False, help="The project"),
    under: str = typer.Option("", "--under", help="Only those in this folder of the project"),
) -> None:
    """Fetch what project.yml names, as 'weasel assets' does, and fail if a file isn't as it should
    be. What lies in place already isn't fetched; of Git repositories, that is any folder."""
    problems = []
    wanted = [
        asset
        for asset in load_project_config(project)["assets"]
        if Path(asset["dest"]).is_relative_to(under)
    ]
    if not wanted:
        msg.fail("No assets", f"{project / 'project.yml'} has none under {under or '.'}", exits=1)
    for asset in wanted:
        path, checksum = project / asset["dest"], asset.get("checksum")
        if not _is_right(path, checksum):
            _fetch(project, asset)
        if not path.exists():
            origin = asset.get("url") or asset.get("git", {}).get("repo") or "anywhere"
            problems.append(f"{path}: couldn't be fetched from {origin}. Put it there.")
        elif not _is_right(path, checksum):
            problems.append(f"{path}: its checksum isn't {checksum}. Delete it and try again.")
    if problems:
        msg.fail("Assets are missing or wrong", "\n".join(problems), exits=1)


def _is_right(path: Path, checksum: str | None) -> bool:
    return path.exists() and (not checksum or get_checksum(path) == checksum)


def _fetch(project: Path, asset: dict[str, Any]) -> None:
    """Fetch an asset; an error is only printed."""
    path = project / asset["dest"]
    path.parent.mkdir(parents=True, exist_ok=True)
    if "git" in asset and not path.exists():
        git = asset["git"]
        try:
            git_checkout(git["repo"], git["path"], path.resolve(), branch=git["branch"])
        except SubprocessError as error:
            msg.warn(f"{path}: not fetched", str(error))
    elif "url" in asset:
        fetch_asset(project, asset["url"], Path(asset["dest"]), asset.get("checksum"))
