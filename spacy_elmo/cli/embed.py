"""``python -m spacy elmo embed``"""

from enum import Enum
from pathlib import Path
from typing import Optional

import spacy
import typer
from spacy.cli._util import setup_gpu
from wasabi import msg

from ..records import open_input
from ._embedder import Embedder, blank_pipeline
from ._help import SOURCE, TEXTS
from ._outputs import OUTPUTS, make_writer
from ._ray import Workers, check_output, embed_on_ray, import_ray
from ._shards import embed_corpus, partial_folder


class Engine(str, Enum):
    """What computes."""

    local = "local"
    ray = "ray"


class DType(str, Enum):
    """The types of floats that are written."""

    float32 = "float32"
    float16 = "float16"


def embed(
    input: str = typer.Argument(..., help=f"{TEXTS}, or a URL of such a file"),
    output: Path = typer.Argument(
        ..., help="The vectors: .spacy, .hdf5 (as bilm-tf writes it) or .parquet"
    ),
    source: Optional[str] = typer.Option(
        None, "--source", "-s", help=f"The biLM. {SOURCE} (default: en_small)"
    ),
    model: Optional[str] = typer.Option(
        None,
        "--model",
        "-m",
        help="A trained pipeline with an elmo component, in place of --source, --lang, "
        "--precision and --whole-doc. Components behind elmo don't run",
    ),
    layers: str = typer.Option(
        "all", "--layers", help="'all', 'mix', 'top', or the number of a layer"
    ),
    lang: Optional[str] = typer.Option(
        None, "--lang", "-l", help="Language of the tokenizer (default: en)"
    ),
    dtype: DType = typer.Option(DType.float32, "--dtype", help="How vectors are written"),
    precision: Optional[str] = typer.Option(
        None, "--precision", help="What is computed with (default: float32)"
    ),
    whole_doc: bool = typer.Option(
        False, "--whole-doc", help="Read each Doc as one sentence, as bilm-tf reads lines"
    ),
    batch_size: int = typer.Option(
        64, "--batch-size", "-b", min=1, help="Most Docs that are computed together"
    ),
    gpu_id: int = typer.Option(-1, "--gpu-id", "-g", help="GPU ID or -1 for CPU"),
    engine: Engine = typer.Option(
        Engine.local,
        "--engine",
        "-e",
        help="'ray' computes with many processes or machines and writes a folder of .parquet files",
    ),
    address: Optional[str] = typer.Option(
        None,
        "--address",
        help="HOST:PORT of a Ray cluster, or 'auto' on one of its machines (default: a cluster of "
        "this machine alone)",
    ),
    workers: Optional[int] = typer.Option(
        None, "--workers", "-w", min=1, help="Ray's workers (default: one for each CPU or GPU)"
    ),
    force: bool = typer.Option(False, "--force", "-F", help="Replace the output if it exists"),
) -> None:
    """Write the vectors of every token of a corpus.

    A run that was ended goes on where it was if the same command is given again; until then, its
    shards lie in OUTPUT.partial.
    """
    try:
        if engine == Engine.ray:
            import_ray()
            check_output(output, force)
        elif address or workers:
            raise ValueError("--address and --workers go with --engine ray.")
        else:
            _check_output(output, force)
        if model is not None and (source or lang or precision or whole_doc):
            raise ValueError(
                "--model brings its own biLM, tokenizer and sentences; it doesn't go with "
                "--source, --lang, --precision or --whole-doc."
            )
        if engine == Engine.local:  # Ray's workers have GPUs, not this process
            setup_gpu(gpu_id)
        if model is not None:
            nlp = spacy.load(model)
        else:
            nlp = blank_pipeline(
                lang or "en", source or "en_small", precision or "float32", whole_doc
            )
        corpus = open_input(input, nlp.vocab)
        embedder = Embedder(nlp, layers, dtype.value, batch_size)
        if engine == Engine.ray:
            cluster = Workers(address, workers, gpu_id >= 0)
            done = embed_on_ray(input, embedder, output, cluster)
        else:
            writer = make_writer(output, embedder.array, embedder.selection)
            done = embed_corpus(corpus, embedder, writer, output)
    except (ValueError, OSError, ImportError) as error:
        folder = partial_folder(output)
        message = str(error)
        if folder.exists() and str(folder) not in message:
            message += f"\nFinished shards of this output are kept in {folder}."
        msg.fail(f"Can't embed '{input}'", message, exits=1)
    msg.good(f"Wrote {output}: {done.n_docs:,} Docs with {done.n_words:,} words")


def _check_output(output: Path, force: bool) -> None:
    if output.suffix not in OUTPUTS:
        raise ValueError(f"{output}: the name of an output ends in {', '.join(OUTPUTS)}.")
    if output.is_dir():
        raise ValueError(f"{output} is a directory.")
    if output.exists() and not force:
        raise ValueError(f"{output} exists. --force replaces it.")
