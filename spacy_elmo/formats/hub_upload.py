"""Pushes a native directory to the Hugging Face Hub."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union

from .hub import HubSource, ask_hub, import_hub
from .native import SOFTMAX_NAME, VOCABULARY_NAME


def push_files(
    target: HubSource, files: Mapping[str, Union[Path, bytes]], message: str, private: bool = False
) -> str:
    """Push the files of a native directory, all in one commit. A softmax that the repository has
    and these files haven't is removed with it: it was another biLM's.

    target: The repository, made if need be, and its branch, made from the main one if need be.
    files: By name, each a file on this machine or its content. Others that the repository has
        stay there.
    message: Of the commit.
    private: Make a new repository private.
    RETURNS: The commit's URL.
    RAISES ValueError: There is no right to write there, the hub can't be reached, the repository
        is there and public although ``private`` is asked for, or huggingface_hub isn't installed.
    """
    hub = import_hub("push to", target)
    api = hub.HfApi(library_name="spacy-elmo")
    return ask_hub("push to", target, lambda: _push(hub, api, target, files, message, private))


def _push(
    hub: Any,
    api: Any,
    target: HubSource,
    files: Mapping[str, Union[Path, bytes]],
    message: str,
    private: bool,
) -> str:
    repository, branch = target.repository, target.revision
    api.create_repo(repository, private=private or None, exist_ok=True)
    if private and not api.model_info(repository).private:
        raise ValueError("the repository is there already, and it is public. Nothing was sent")
    if branch is not None:
        api.create_branch(repository, branch=branch, exist_ok=True)
    present = api.list_repo_files(repository, revision=branch)
    stale = {SOFTMAX_NAME, VOCABULARY_NAME}.intersection(present).difference(files)
    operations = [
        *(hub.CommitOperationAdd(name, content) for name, content in files.items()),
        *(hub.CommitOperationDelete(name) for name in sorted(stale)),
    ]
    commit = api.create_commit(repository, operations, commit_message=message, revision=branch)
    return str(commit.commit_url)
