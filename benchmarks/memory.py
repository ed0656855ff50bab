"""Peak memory of ``nlp.pipe`` over very many words, in a fresh process."""

import json
import math
import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import spacy
from wasabi import msg

SOURCE = "en_small"
LONGEST = 512  # words of a document
PARTS = 10


def measure(texts: list[str], n_words: int, threads: int, folder: Path) -> dict[str, Any]:
    """Run ``nlp.pipe`` and look at the largest resident memory after each tenth of the words.

    texts: Real text, which is repeated, cut into documents of lengths from 1 to 512 words.
    n_words: Words in all.
    folder: For files.
    RETURNS: Megabytes before the first document and after each tenth; and by how many percent the
        second half made them grow.
    """
    path = folder / "texts.json"
    path.write_text(json.dumps(texts), encoding="utf8")
    command = [sys.executable, __file__, str(path), str(n_words)]
    env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env).stdout
    result = json.loads(output)
    after = result["megabytes_after_each_tenth"]
    growth = 100 * (after[-1] / after[PARTS // 2 - 1] - 1)
    return {**result, "growth_in_second_half_percent": round(growth, 2)}


def show(result: dict[str, Any]) -> None:
    """Print a table."""
    print(f"Peak memory of nlp.pipe over {result['words']:,} words, {result['documents']:,} texts")
    msg.table(
        [
            ("before", result["megabytes_before"]),
            *((f"{10 * (i + 1)} %", v) for i, v in enumerate(result["megabytes_after_each_tenth"])),
            ("second half", f"{result['growth_in_second_half_percent']:+.2f} %"),
        ],
        header=("words", "MB"),
        aligns=("l", "r"),
    )


def _cut(texts: list[str], n_words: int) -> Iterator[str]:
    """Documents whose lengths are spread evenly over the orders of magnitude."""
    words = [word for text in texts for word in text.split()]
    chance = random.Random(0)
    position = 0
    while position < n_words:
        length = min(round(math.exp(chance.uniform(0, math.log(LONGEST)))), n_words - position)
        start = position % len(words)
        yield " ".join(words[start : start + length])
        position += len(words[start : start + length])


def _megabytes() -> int:
    """The largest resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, whose getrusage counts the process that started this one, too
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return round(int(line.split()[1]) * 1024 / 1e6)
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


def _main(path: Path, n_words: int) -> None:
    """The fresh process."""
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo", config={"model": {"source": SOURCE}})
    nlp("Loads the weights.")
    before, after = _megabytes(), []
    texts = json.loads(path.read_text(encoding="utf8"))
    done = n_docs = 0
    documents = ((text, len(text.split())) for text in _cut(texts, n_words))
    for _, length in nlp.pipe(documents, as_tuples=True):
        done, n_docs = done + length, n_docs + 1
        while done >= n_words * (len(after) + 1) / PARTS and len(after) < PARTS:
            after.append(_megabytes())
    result = {"words": done, "documents": n_docs, "megabytes_before": before}
    print(json.dumps({**result, "megabytes_after_each_tenth": after}))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), int(sys.argv[2]))
