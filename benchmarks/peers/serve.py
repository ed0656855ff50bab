"""What the programs in this folder share. They run in Pythons of their own, load once, and time
what they are asked to: a request is a line with the path of a JSON file, its answer a line with
the seconds."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

BATCH = 32  # sentences that the other implementations compute together
MARK = "seconds:"  # begins an answer; other lines are what libraries print


def serve(run: Callable[[Any], object]) -> None:
    """Answer until the input ends.

    run: What is timed; takes a file's content.
    """
    for content in requests():
        run(content)


def requests() -> Iterator[Any]:
    """The contents of the requested files. Whoever takes the next one has done the one before,
    which is answered then."""
    print(MARK, 0, flush=True)  # loaded
    for line in sys.stdin:
        content = json.loads(Path(line.strip()).read_text(encoding="utf8"))
        start = time.perf_counter()
        yield content
        print(MARK, time.perf_counter() - start, flush=True)
