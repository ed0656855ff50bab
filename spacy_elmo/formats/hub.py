"""Sources on the Hugging Face Hub: ``hf:OWNER/NAME[@REVISION]``. huggingface_hub fetches them into
its own cache, with its tokens, its environment variables and its way of taking up a download."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, TypeVar

from ..urls import without_secrets
from .native import CONFIG_NAME, SOFTMAX_NAME, VOCABULARY_NAME, WEIGHTS_NAME

_SCHEME = "hf:"
_PART = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?"
_SOURCE = re.compile(rf"(?P<repository>{_PART}/{_PART})(?:@(?P<revision>[^\s@]+))?", re.ASCII)

_CARDS = ("README*", "MODEL_CARD.md", "model_card.md")
_NATIVE = (CONFIG_NAME, WEIGHTS_NAME)
_SOFTMAX = (CONFIG_NAME, VOCABULARY_NAME, SOFTMAX_NAME)  # one is there: no match is a warning
# Of the other formats: first the files that tell that there is a biLM, then those beside them.
_WEIGHTS = (
    *("*.hdf5", "*.h5", "encoder.pkl", "token_embedder.pkl"),
    *("checkpoint", "*.index", "variables/*.index"),
)
_BESIDE = ("*.json", "*.dic", "vocab.txt", "*.data-*", "variables/*", "*.pb")

Result = TypeVar("Result")


@dataclass(frozen=True)
class HubSource:
    """A repository of models.

    repository: ``OWNER/NAME``.
    revision: A branch, a tag or a commit; None is the repository's main branch.
    """

    repository: str
    revision: Optional[str] = None

    @classmethod
    def parse(cls, text: str) -> "HubSource":
        """RAISES ValueError: The text isn't ``hf:OWNER/NAME`` or ``hf:OWNER/NAME@REVISION``."""
        match = _SOURCE.fullmatch(text.removeprefix(_SCHEME))
        if match is None or "--" in match["repository"] or ".." in match["repository"]:
            raise ValueError(
                f"'{text}' names no repository of the Hugging Face Hub. One is written "
                "hf:OWNER/NAME, or hf:OWNER/NAME@REVISION for one of its branches, tags or commits."
            )
        return cls(match["repository"], match["revision"])

    def __str__(self) -> str:
        return f"{_SCHEME}{self.repository}" + (f"@{self.revision}" if self.revision else "")


def is_hub(source: object) -> bool:
    """Whether a source is on the hub (``hf:…``) rather than a name, a path or a URL."""
    return isinstance(source, str) and source.startswith(_SCHEME)


def fetch_hub(source: HubSource) -> Path:
    """Fetch the files of a biLM, but for a native one's softmax. Without a connection, what is in
    the hub's cache is taken.

    RETURNS: Their directory in the hub's cache. Its name is the commit.
    RAISES ValueError: There is no such repository or revision, it isn't open to us, it can't be
        fetched, it holds no biLM, or huggingface_hub isn't installed.
    """
    directory = _fetch(source, (CONFIG_NAME, *_CARDS))
    # Small files first: another model's weights, which may be huge, are never fetched.
    commit = HubSource(source.repository, directory.name)
    if _is_native(directory / CONFIG_NAME):
        _fetch(commit, _NATIVE)
        found = (directory / WEIGHTS_NAME).exists()
    else:
        _fetch(commit, (*_WEIGHTS, *_BESIDE))
        found = any(path for pattern in _WEIGHTS for path in directory.glob(pattern))
    if not found:
        raise ValueError(
            f"{source} holds no biLM. Looked for {CONFIG_NAME} with a biLM's options and "
            f"{WEIGHTS_NAME}; *options.json and an HDF5 file of weights; ELMoForManyLangs' "
            "encoder.pkl, token_embedder.pkl and char.dic; a TensorFlow checkpoint. Files in "
            "folders of the repository are not looked at."
        )
    return directory


def fetch_hub_softmax(source: HubSource, directory: Path) -> None:
    """Fetch the softmax that belongs to a biLM, if it has one.

    directory: Where ``fetch_hub`` has put the biLM: the softmax is that of the same commit.
    RAISES ValueError: It can't be fetched.
    """
    if (directory / WEIGHTS_NAME).exists():
        _fetch(HubSource(source.repository, directory.name), _SOFTMAX)


def ask_hub(doing: str, source: HubSource, call: Callable[[], Result]) -> Result:
    """Call huggingface_hub. What goes wrong is said in our words.

    doing: What can't be done then: "fetch".
    RAISES ValueError: It went wrong.
    """
    from huggingface_hub import errors

    try:
        return call()
    except Exception as error:  # some are of the library below it, whose name has changed
        reason = _reason(error, source, errors)
        raise ValueError(f"Can't {doing} {source}: {reason}") from error


def import_hub(doing: str, source: HubSource) -> Any:
    """RAISES ValueError: huggingface_hub isn't installed."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise ValueError(
            f"Can't {doing} {source}: this needs another package. "
            "Run: pip install 'spacy-elmo[hub]'"
        ) from error
    return huggingface_hub


def _fetch(source: HubSource, patterns: tuple[str, ...]) -> Path:
    hub = import_hub("fetch", source)
    # A pattern's star also stands for the slash of a folder.
    nested = [f"*/{pattern}" for pattern in patterns if pattern.startswith("*")]
    return Path(
        ask_hub(
            "fetch",
            source,
            lambda: hub.snapshot_download(
                source.repository,
                revision=source.revision,
                allow_patterns=list(patterns),
                ignore_patterns=nested,
                library_name="spacy-elmo",
                tqdm_class=_bar(hub),
            ),
        )
    )


def _bar(hub: Any) -> Any:
    """The hub's progress bar, which is shown in a terminal only and doesn't stay: mostly, all files
    are here already."""

    class Bar(hub.utils.tqdm):
        def __init__(self, *args: Any, **settings: Any) -> None:
            settings["disable"] = settings.get("disable") or None  # without a terminal
            super().__init__(*args, **{**settings, "leave": False})

    return Bar


def _is_native(path: Path) -> bool:
    """Whether a file holds the options of a native biLM. What else they hold is checked later."""
    try:
        options = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(options, dict) and "lstm" in options


def _reason(error: Exception, source: HubSource, errors: Any) -> str:
    from huggingface_hub import constants

    cause = error.__cause__ or error  # of a missing entry of the cache: why nothing was asked for
    status = getattr(getattr(cause, "response", None), "status_code", None)
    token = "a token with the right to it (environment variable HF_TOKEN, or 'hf auth login')"
    page = f"{constants.ENDPOINT}/{source.repository}"
    if isinstance(error, errors.GatedRepoError):
        return f"its owner gives it out on request. Ask at {page}, then give {token}."
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"there is no repository {page}, or it is private. If it is, give {token}."
    if isinstance(error, errors.RevisionNotFoundError):
        return f"the repository has no branch, tag or commit '{source.revision or 'main'}'."
    if status in (401, 403):
        return f"{page} doesn't let us in (status {status}). Give {token}."
    if isinstance(error, errors.LocalEntryNotFoundError):
        if constants.HF_HUB_OFFLINE:
            return "it isn't, or not whole, in the hub's cache, and HF_HUB_OFFLINE is set."
        answer = f"can't be reached ({_short(cause)})" if status is None else f"answers {status}"
        return f"it isn't, or not whole, in the hub's cache, and {constants.ENDPOINT} {answer}."
    return f"{_short(error)} ({page})"


def _short(error: BaseException) -> str:
    """An error of another library, in a line."""
    return " ".join(without_secrets(str(error)).split()) or type(error).__name__
