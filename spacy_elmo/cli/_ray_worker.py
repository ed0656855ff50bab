"""What runs on the machines of ``embed --engine ray``: one task reads the input, and workers embed
its shards and write them as parts. What goes between them are rows of plain values."""

from hashlib import sha256
from pathlib import Path
from typing import Any, Collection, Dict, Iterator, List, NamedTuple, Tuple

import spacy
import srsly
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import Config

from ..formats.files import replacing
from ..records import Record, open_input
from ._embedder import Embedder
from ._outputs import ParquetWriter
from ._shards import take_shard


class Shard(NamedTuple):
    """Records that are computed together.

    number: Of this shard.
    first: Number of the first record.
    records: The records.
    """

    number: int
    first: int
    records: List[Record]

    @property
    def part(self) -> str:
        """The name of its part, which tells what it was made from."""
        digest = sha256(b"".join(record.content + b"\n" for record in self.records))
        return f"part-{self.number:08}-{digest.hexdigest()[:16]}.parquet"


def cut_shards(source: str, size: int) -> Iterator[Shard]:
    """The shards of an input, as the engine on one machine cuts it as well.

    size: Tokens of a shard, about.
    """
    records = open_input(source, Vocab()).records
    number = first = 0
    while shard := take_shard(records, size):
        yield Shard(number, first, shard)
        number, first = number + 1, first + len(shard)


def read_shards(
    _: Any, source: str, size: int, done: Collection[str]
) -> Iterator[Dict[str, List[Any]]]:
    """What Ray runs to read the input, on one of the machines.

    source: The input.
    size: Tokens of a shard, about.
    done: Names of the parts that are there.
    YIELDS: A batch of one row for each shard that is to be computed. An error of the input is the
        last row, so that all before it is computed.
    """
    try:
        for shard in cut_shards(source, size):
            if shard.part not in done:
                packed = [(where, _pack(value)) for where, _, value in shard.records]
                data = srsly.msgpack_dumps(packed)
                yield _row(part=shard.part, first=shard.first, records=data)
    except (ValueError, OSError, ImportError) as error:
        yield _row(error=str(error))


class Worker:
    """What Ray keeps in a process for each CPU (or GPU).

    pipeline: Reference to what ``pack_pipeline`` gave. In a list: else, Ray would resolve it.
    folder: Where the parts are written.
    use_gpu: Whether to compute on the process's GPU.
    retries: How often a shard is tried again whose worker died.
    """

    def __init__(self, pipeline: List[Any], folder: str, use_gpu: bool, retries: int) -> None:
        import ray

        if use_gpu:
            spacy.require_gpu()
        config, data, exclude, arguments = ray.get(pipeline[0])
        nlp = spacy.util.load_model_from_config(Config().from_str(config), exclude=exclude)
        self.embedder = Embedder(nlp.from_bytes(data, exclude=exclude), *arguments)
        self._writer = ParquetWriter(self.embedder.array, self.embedder.selection)
        self._folder = Path(folder)
        self._retries = retries

    def __call__(self, batch: Dict[str, Any]) -> Dict[str, List[Any]]:
        """Compute a shard and write its part.

        batch: A batch of one row that ``read_shards`` gave.
        RETURNS: A row with what was written, or the error.
        """
        row = {name: column[0] for name, column in batch.items()}
        if row["error"]:
            return _row(error=row["error"])
        # Ray tries again forever. Each worker that died at this shard has left its half.
        n_died = len([*self._folder.glob(f".{row['part']}.*.tmp")])
        if n_died > self._retries:
            return _row(error=f"{n_died} workers died at '{row['part']}'. Is memory too short?")
        records = srsly.msgpack_loads(bytes(row["records"]))
        try:
            with self.embedder.nlp.memory_zone():
                docs = [self._make_doc(where, value) for where, value in records]
                n_words = sum(len(doc) for doc in docs)
                with replacing(self._folder / row["part"]) as temporary:
                    self._writer.write(self.embedder.embed(docs), int(row["first"]), temporary)
        except (ValueError, OSError) as error:
            return _row(error=str(error))
        return _row(n_docs=len(records), n_words=n_words)

    def _make_doc(self, where: str, value: Any) -> Doc:
        if isinstance(value, bytes):
            value = Doc(self.embedder.nlp.vocab).from_bytes(value)
        return self.embedder.make_doc(Record(where, b"", value))


def pack_pipeline(embedder: Embedder) -> Tuple[str, bytes, List[str], Tuple[Any, ...]]:
    """All that a worker needs to make the same embedder, whatever its machine has of the source."""
    nlp, selection = embedder.nlp, embedder.selection
    arguments = (str(selection.layers), selection.dtype, embedder.batch_size)
    return nlp.config.to_str(), nlp.to_bytes(exclude=nlp.disabled), nlp.disabled, arguments


def _row(**values: Any) -> Dict[str, List[Any]]:
    """A batch of one row. All have the same columns."""
    row = {"part": "", "first": 0, "records": b"", "error": "", "n_docs": 0, "n_words": 0}
    return {name: [value] for name, value in {**row, **values}.items()}


def _pack(value: Any) -> Any:
    return value.to_bytes() if isinstance(value, Doc) else value
