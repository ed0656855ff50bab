"""Embeds a corpus shard by shard, so that a run that was ended goes on where it was, and joins the
shards at the end. The output is either not there or whole."""

import os
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Dict, Iterator, List

import srsly
import tqdm
from filelock import FileLock, Timeout
from spacy.tokens import Doc
from wasabi import msg

from ..formats.files import replacing
from ..records import Corpus, Record
from ._embedder import Embedder
from ._outputs import Writer

SHARD_TOKENS = 32_768  # what a killed run has to compute again, at most
_PROGRESS = "progress.json"
_WHOLE = "whole"


@dataclass
class Finished:
    """What an unfinished output has in finished shards.

    settings: What shapes the vectors.
    n_shards: Finished shards.
    n_docs: Docs in them.
    n_words: Tokens in them.
    digest: Hash of the records that they were made from.
    """

    settings: Dict[str, Any]
    n_shards: int = 0
    n_docs: int = 0
    n_words: int = 0
    digest: str = sha256().hexdigest()


def partial_folder(output: Path) -> Path:
    """Where an unfinished run keeps its shards."""
    return output.with_name(output.name + ".partial")


def embed_corpus(corpus: Corpus, embedder: Embedder, writer: Writer, output: Path) -> Finished:
    """Embed a corpus, or go on with it.

    corpus: The input.
    embedder: Computes the vectors.
    writer: Writes them.
    output: The file to write.
    RAISES ValueError: A record is wrong (what was computed before is kept), or the shards that
        are there belong to other settings or another input, or another run is writing the output.
    """
    with alone(output):
        return _embed_corpus(corpus, embedder, writer, output)


def _embed_corpus(corpus: Corpus, embedder: Embedder, writer: Writer, output: Path) -> Finished:
    folder = partial_folder(output)
    progress = start(folder, embedder.settings)
    digest = sha256()
    for record in islice(corpus.records, progress.n_docs):
        digest.update(record.content + b"\n")
    if digest.hexdigest() != progress.digest:
        raise ValueError(
            f"The input has changed: its first {progress.n_docs:,} Docs are not those whose "
            f"vectors lie in {folder}. Bring it back, or delete that folder to begin anew."
        )
    if progress.n_docs:
        msg.info(f"{progress.n_docs:,} Docs are done already; going on from there")

    bar = tqdm.tqdm(
        total=corpus.n_words, initial=progress.n_words, unit="words", unit_scale=True, disable=None
    )
    # A memory zone makes spaCy forget a shard's new words. The Docs of a DocBin are there before.
    zone = embedder.nlp.memory_zone if corpus.is_streamed else nullcontext

    def embed(docs: List[Doc]) -> Iterator[Doc]:
        for doc in embedder.embed(docs):
            yield doc
            bar.update(len(doc))

    with bar:
        while True:
            with zone():
                records = take_shard(corpus.records, SHARD_TOKENS)
                if not records:
                    break
                docs = [embedder.make_doc(record) for record in records]
                for record in records:
                    digest.update(record.content + b"\n")
                done = Finished(
                    settings=progress.settings,
                    n_shards=progress.n_shards + 1,
                    n_docs=progress.n_docs + len(docs),
                    n_words=progress.n_words + sum(len(doc) for doc in docs),
                    digest=digest.hexdigest(),
                )
                with replacing(_shard(folder, progress.n_shards)) as temporary:
                    writer.write(embed(docs), progress.n_docs, temporary)
            with replacing(folder / _PROGRESS) as temporary:
                srsly.write_json(temporary, asdict(done))
            progress = done

    with replacing(folder / _WHOLE) as temporary:  # in the folder, where a killed run leaves it
        shards = [_shard(folder, number) for number in range(progress.n_shards)]
        writer.join(shards, progress.n_docs, temporary)
    os.replace(folder / _WHOLE, output)
    _remove(folder)
    return progress


@contextmanager
def alone(output: Path) -> Iterator[None]:
    """While this lasts, no other run writes the output or its shards.

    RAISES ValueError: Another run does.
    """
    path = output.with_name(f".{output.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ValueError(
            f"Another run is writing {output}. Wait until it is done, or give another output."
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no file that is open; there, releasing does it
            path.unlink()
        lock.release()


def start(folder: Path, settings: Dict[str, Any], name: str = _PROGRESS) -> Finished:
    """Where to begin: at the start, or where a run with the same settings ended.

    folder: What an unfinished run has left.
    settings: What shapes the vectors.
    name: The file in the folder that tells what is finished.
    RAISES ValueError: The folder holds a run with other settings, or that file is damaged.
    """
    for leftover in folder.glob(".*.tmp"):  # of a run that was killed while it wrote
        leftover.unlink()
    path = folder / name
    if not path.exists():
        return Finished(settings)
    try:
        progress = Finished(**srsly.read_json(path))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged. Delete {folder} to begin anew.") from error
    changes = [
        f"{key} was {progress.settings.get(key)!r:.40} and is {settings.get(key)!r:.40}"
        for key in {**settings, **progress.settings}
        if progress.settings.get(key) != settings.get(key)
    ]
    if changes:
        raise ValueError(
            f"{folder} holds a run that didn't finish, with other settings ({', '.join(changes)}). "
            "Give the same command again, or delete that folder to begin anew."
        )
    return progress


def take_shard(records: Iterator[Record], size: int) -> List[Record]:
    """The next records, until they have about ``size`` tokens together. None are left at the end
    of the input. The same input is always cut alike, whoever computes the vectors."""
    taken: List[Record] = []
    n_tokens = 0
    while n_tokens < size and (record := next(records, None)) is not None:
        taken.append(record)
        n_tokens += _count_tokens(record)
    return taken


def _count_tokens(record: Record) -> int:
    """How many tokens a record has, and one more, because an empty Doc takes memory as well. Those
    of a text are guessed from its bytes: who cuts for many workers can't tokenize for all."""
    value = record.value
    return 1 + (len(value.encode("utf-8")) // 4 if isinstance(value, str) else len(value))


def _shard(folder: Path, number: int) -> Path:
    return folder / f"{number:08}.shard"


def _remove(folder: Path) -> None:
    """Remove what a run has written, and nothing else."""
    (folder / _PROGRESS).unlink(missing_ok=True)
    for shard in folder.glob("*.shard"):
        shard.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()
