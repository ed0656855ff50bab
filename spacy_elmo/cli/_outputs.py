"""What ``python -m spacy elmo embed`` writes. Each kind of file has a writer of shards (some of the
Docs, in a form that is quick to write) and joins them at the end, with little memory."""

import sys
import zlib
from pathlib import Path
from typing import Any, Callable, Iterable, List, Protocol, Tuple

import h5py
import numpy as np
import srsly
from spacy.tokens import Doc, DocBin
from srsly.msgpack import Packer, Unpacker

from ._embedder import Selection

OUTPUTS = (".spacy", ".hdf5", ".parquet")
ROWS = 4096  # of a row group in a Parquet file

GetArray = Callable[[Doc], np.ndarray]


class Writer(Protocol):
    """A kind of output."""

    def write(self, docs: Iterable[Doc], first: int, path: Path) -> None:
        """Write a shard.

        docs: Docs with their vectors.
        first: Number of the first of them in the whole output.
        path: The file to write.
        """

    def join(self, shards: List[Path], n_docs: int, path: Path) -> None:
        """Write the whole output.

        shards: All shards in order.
        n_docs: Docs in them together.
        path: The file to write.
        """


class Hdf5Writer:
    """The layout of bilm-tf's ``dump_bilm_embeddings``: for each Doc a dataset named by its number,
    "0", "1", …, of shape (n_layers + 1, n_tokens, width), or (n_tokens, width) for the mix or one
    layer. (AllenNLP's dataset "sentence_to_index" is left out: it holds all text as one string.)

    get_array: Gives the vectors of a Doc.
    """

    def __init__(self, get_array: GetArray) -> None:
        self._get_array = get_array

    def write(self, docs: Iterable[Doc], first: int, path: Path) -> None:
        with h5py.File(path, "w") as file:
            for number, doc in enumerate(docs, first):
                file.create_dataset(str(number), data=self._get_array(doc))

    def join(self, shards: List[Path], n_docs: int, path: Path) -> None:
        with h5py.File(path, "w") as whole:
            for shard in shards:
                with h5py.File(shard, "r") as file:
                    for name in sorted(file, key=int):
                        file.copy(name, whole)


class DocBinWriter:
    """A DocBin with user data, so that ``doc._.elmo`` works on its Docs. Joining holds all of it in
    memory but the vectors. (spaCy loads a DocBin only as a whole, vectors included.)

    A shard is a sequence of msgpack objects: the DocBin without user data, then those of each Doc,
    packed as DocBin packs them.
    """

    def write(self, docs: Iterable[Doc], first: int, path: Path) -> None:
        docbin = DocBin(store_user_data=True, docs=docs)
        user_data = docbin.user_data
        docbin.store_user_data = False
        with path.open("wb") as file:
            for packed in [docbin.to_bytes(), *user_data]:
                file.write(srsly.msgpack_dumps(packed))

    def join(self, shards: List[Path], n_docs: int, path: Path) -> None:
        docbin = DocBin()
        packer = Packer()
        compressor = zlib.compressobj(1)  # floats hardly shrink, however long one tries
        with path.open("wb") as file:

            def write(packed: bytes) -> None:
                file.write(compressor.compress(packed))

            fields = srsly.msgpack_loads(zlib.decompress(docbin.to_bytes()))
            write(packer.pack_map_header(len(fields) + 1))
            write(srsly.msgpack_dumps("user_data"))
            write(packer.pack_array_header(n_docs))
            for shard in shards:
                with shard.open("rb") as shard_file:
                    objects = Unpacker(shard_file, raw=False, max_buffer_size=sys.maxsize)
                    docbin.merge(DocBin().from_bytes(next(objects)))
                    for packed in objects:
                        write(srsly.msgpack_dumps(packed))
            fields = srsly.msgpack_loads(zlib.decompress(docbin.to_bytes()))
            for key, value in fields.items():
                write(srsly.msgpack_dumps(key))
                write(srsly.msgpack_dumps(value))
            file.write(compressor.flush())


class ParquetWriter:
    """A table with a row for each token and the columns ``doc`` (the Doc's number, from 0),
    ``token`` (the token's index in its Doc), ``text``, and lists of fixed size with the vectors:
    ``layer_0``, ``layer_1``, …, or ``mix``, or the one layer. An empty Doc has no rows.

    get_array: Gives the vectors of a Doc.
    selection: What they are.
    RAISES ImportError: pyarrow is missing.
    """

    def __init__(self, get_array: GetArray, selection: Selection) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise ImportError(
                "Writing .parquet needs pyarrow: pip install 'spacy-elmo[parquet]'"
            ) from error
        self._get_array = get_array
        self._arrow: Any = pyarrow
        item = pyarrow.float16() if selection.dtype == "float16" else pyarrow.float32()
        vector = pyarrow.list_(item, selection.width)
        columns = [("doc", pyarrow.int64()), ("token", pyarrow.int32()), ("text", pyarrow.string())]
        self._schema = pyarrow.schema(columns + [(name, vector) for name in selection.columns])

    def write(self, docs: Iterable[Doc], first: int, path: Path) -> None:
        with self._open(path) as file:
            group: List[Tuple[int, Doc]] = []
            n_rows = 0
            for number, doc in enumerate(docs, first):
                group.append((number, doc))
                n_rows += len(doc)
                if n_rows >= ROWS:
                    file.write_table(self._table(group), row_group_size=ROWS)
                    group, n_rows = [], 0
            if n_rows:
                file.write_table(self._table(group), row_group_size=ROWS)

    def join(self, shards: List[Path], n_docs: int, path: Path) -> None:
        with self._open(path) as file:
            for shard in shards:
                with self._arrow.parquet.ParquetFile(shard) as rows:
                    for i in range(rows.num_row_groups):
                        file.write_table(rows.read_row_group(i))

    def _table(self, docs: List[Tuple[int, Doc]]) -> Any:
        """docs: Docs with their numbers."""
        arrow = self._arrow
        columns: List[Any] = [
            arrow.array([number for number, doc in docs for _ in doc], arrow.int64()),
            arrow.array([token.i for _, doc in docs for token in doc], arrow.int32()),
            arrow.array([token.text for _, doc in docs for token in doc], arrow.string()),
        ]
        arrays = [self._get_array(doc) for _, doc in docs]
        # (n_vectors, n_tokens, width), where n_vectors is 1 for the mix or one layer
        vectors = np.concatenate([a if a.ndim == 3 else a[None] for a in arrays], axis=1)
        for column in vectors:
            flat = arrow.array(column.reshape(-1))
            columns.append(arrow.FixedSizeListArray.from_arrays(flat, column.shape[1]))
        return arrow.Table.from_arrays(columns, schema=self._schema)

    def _open(self, path: Path) -> Any:
        # Dictionaries of words are small; of vectors, which are all different, they'd be in vain.
        return self._arrow.parquet.ParquetWriter(path, self._schema, use_dictionary=["text"])


def make_writer(path: Path, get_array: GetArray, selection: Selection) -> Writer:
    """The writer for an output, by its suffix.

    path: The output.
    get_array: Gives the vectors of a Doc.
    selection: What they are.
    RAISES ImportError: The kind needs a package that is missing.
    """
    if path.suffix == ".spacy":
        return DocBinWriter()
    if path.suffix == ".hdf5":
        return Hdf5Writer(get_array)
    return ParquetWriter(get_array, selection)
