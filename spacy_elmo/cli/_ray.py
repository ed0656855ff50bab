"""``embed --engine ray``: the shards of a corpus go to workers on any number of machines, by Ray
Data. Each worker loads the biLM once and writes a part of the output for each of its shards."""

import os
import socket
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

import srsly
import tqdm
from spacy.vocab import Vocab
from wasabi import msg

from ..formats.files import replacing
from ..records import open_input
from . import _shards
from ._embedder import Embedder
from ._ray_worker import Worker, cut_shards, pack_pipeline, read_shards
from ._shards import Finished, alone, partial_folder, start

RUN = "_run.json"  # readers of Parquet pass over names that begin so
RETRIES = 5  # of a shard whose worker died
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # else, it reports to its makers
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # other errors are raised as well
    "RAY_DATA_LOG_LEVEL": "ERROR",
}
WAIT = 10  # seconds for an address to answer


class Workers(NamedTuple):
    """What computes.

    address: HOST:PORT of a Ray cluster, "auto" for the one that this machine belongs to, or None
        for one on this machine, which ends with the run.
    number: Workers, or None for one for each CPU (or GPU).
    use_gpu: Whether each has a GPU.
    """

    address: Optional[str] = None
    number: Optional[int] = None
    use_gpu: bool = False


def embed_on_ray(source: str, embedder: Embedder, output: Path, workers: Workers) -> Finished:
    """Embed a corpus with many workers, or go on with it.

    source: The input; the machines see it under the same name.
    embedder: What the workers compute. It goes to them as it is.
    output: The folder of Parquet files to write, which all machines see.
    workers: What computes.
    RAISES ValueError: A record is wrong, the parts that are there belong to other settings or
        another input, another run is writing the output, or workers die again and again.
    RAISES OSError: The address doesn't answer, or there is no such input.
    RAISES ImportError: Ray is missing.
    """
    source = source if "://" in source else str(Path(source).absolute())
    output = output.absolute()
    folder = partial_folder(output)
    with alone(output):
        progress = start(folder, {**embedder.settings, "engine": "ray"}, RUN)
        progress = Finished(progress.settings)
        done = _check_parts(folder, source, progress)
        with replacing(folder / RUN) as temporary:
            srsly.write_json(temporary, {"settings": progress.settings})
        if done:
            msg.info(f"{progress.n_docs:,} Docs are done already; going on from there")
        n_words = open_input(source, Vocab()).n_words  # where it isn't known, None
        bar = tqdm.tqdm(
            total=n_words, initial=progress.n_words, unit="words", unit_scale=True, disable=None
        )
        with _connected(workers) as ray, bar:
            for row in _computed(ray, source, embedder, folder, done, workers):
                if row["error"]:
                    raise ValueError(row["error"])
                progress.n_shards += 1
                progress.n_docs += row["n_docs"]
                progress.n_words += row["n_words"]
                bar.update(row["n_words"])
        _remove_old(output)
        for leftover in folder.glob(".*.tmp"):  # of workers that died
            leftover.unlink()
        os.replace(folder, output)
    return progress


def check_output(output: Path, force: bool) -> None:
    """RAISES ValueError: The output isn't one that this engine writes, or may not be replaced."""
    if output.suffix != ".parquet":
        raise ValueError(f"{output}: --engine ray writes a folder that ends in .parquet.")
    if output.exists() and not force:
        raise ValueError(f"{output} exists. --force replaces it.")
    if output.is_dir():
        others = [p.name for p in output.iterdir() if p.name != RUN and not _is_part(p)]
        if others:
            raise ValueError(f"{output} holds other files ('{min(others)}'). It isn't replaced.")


def _is_part(path: Path) -> bool:
    return path.match("part-*.parquet")


def _check_parts(folder: Path, source: str, progress: Finished) -> List[str]:
    """The names of the parts that are there, after a look at whether they belong to the input.

    progress: Gets what they hold.
    RAISES ValueError: They don't.
    """
    from pyarrow.parquet import read_metadata

    done = {path.name for path in folder.glob("part-*.parquet")}
    left = set(done)
    for shard in cut_shards(source, _shards.SHARD_TOKENS):
        if not left:
            break
        if shard.part in left:
            left.remove(shard.part)
            progress.n_shards += 1
            progress.n_docs += len(shard.records)
            progress.n_words += read_metadata(folder / shard.part).num_rows
    if left:
        raise ValueError(
            f"The input has changed: '{min(left)}' in {folder} was not made from it. Bring it "
            "back, or delete that folder to begin anew."
        )
    return sorted(done)


def _remove_old(output: Path) -> None:
    """Remove what ``check_output`` has let pass."""
    if output.is_dir():
        for path in output.iterdir():
            path.unlink()
        output.rmdir()
    else:
        output.unlink(missing_ok=True)


@contextmanager
def _connected(workers: Workers) -> Iterator[Any]:
    """Ray, which is left as it was found.

    RAISES OSError: The address doesn't answer, or Ray doesn't start on this machine.
    RAISES ImportError: Ray is missing.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield ray
        return
    address = workers.address
    quiet = {"logging_level": "ERROR", "log_to_driver": False}
    if address is None:
        try:
            ray.init(num_cpus=workers.number, include_dashboard=False, **quiet)
        except Exception as error:  # Ray raises nothing else
            raise OSError(f"Ray doesn't start on this machine: {error}") from error
    else:
        try:
            if address != "auto":
                host, _, port = address.rpartition(":")
                socket.create_connection((host.strip("[]"), int(port)), WAIT).close()
            ray.init(address=address, **quiet)
        except (OSError, ValueError, RuntimeError, SystemExit) as error:  # Ray exits, too
            raise OSError(
                f"No Ray cluster answers at '{address}' ({error}). Give HOST:PORT, as 'ray start "
                "--head' says it, or 'auto' on a machine of the cluster."
            ) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def import_ray() -> Any:
    """RAISES ImportError: Ray is missing."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError("--engine ray needs Ray: pip install 'spacy-elmo[ray]'") from error
    return ray


def _computed(
    ray: Any,
    source: str,
    embedder: Embedder,
    folder: Path,
    done: List[str],
    workers: Workers,
) -> Iterator[Dict[str, Any]]:
    """Let the workers compute what isn't done.

    YIELDS: The row of each part when it is written, in any order, or one with an error.
    RAISES ValueError: Ray ended the run.
    """
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = 1  # each row is a block: what one worker gets at a time
    kind = "GPU" if workers.use_gpu else "CPU"
    number = workers.number or max(1, int(ray.cluster_resources().get(kind, 1)))
    pipeline = ray.put(pack_pipeline(embedder))  # each machine fetches it once, for all its workers
    reading = {"source": source, "size": _shards.SHARD_TOKENS, "done": frozenset(done)}
    rows = (
        ray.data.from_items([{"source": source}])
        # Nothing before the workers takes a CPU: when they have all, it would never begin. And as
        # reading needs other resources than they do, Ray doesn't make one task of the two.
        .map_batches(read_shards, fn_kwargs=reading, num_cpus=0)
        .map_batches(
            Worker,
            fn_constructor_args=([pipeline], str(folder), workers.use_gpu, RETRIES),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=number),
            num_cpus=1,
            num_gpus=1 if workers.use_gpu else None,
        )
        .iter_rows()
    )
    iterator = iter(rows)
    try:
        yield from iterator
    except ray.exceptions.RayError as error:
        cause = str(getattr(error, "cause", None) or error).strip().splitlines()
        raise ValueError(f"Ray gave up: {cause[-1] if cause else type(error).__name__}") from error
    finally:
        with suppress(AttributeError):
            iterator.close()
