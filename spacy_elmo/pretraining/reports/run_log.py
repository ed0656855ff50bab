"""What training reports at each evaluation, and the file that keeps it."""

import json
import math
from collections.abc import Sequence
from dataclasses import MISSING, Field, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Dict, Tuple

from ...formats.files import replacing


@dataclass(frozen=True)
class Report:
    """What is known at an evaluation. A number that isn't known, such as a held-out perplexity
    where no text is held out, is NaN.

    step: Optimizer steps so far.
    epoch: Whole passes over the text so far.
    words: Tokens read so far, by all processes.
    seconds: Time of training so far, that before a resumption included.
    loss_forward: Mean loss of a token since the last report, in nats.
    loss_backward: The same of the other direction.
    perplexity_forward: Of the held-out text.
    perplexity_backward: The same of the other direction.
    tokens_per_second: Since the last report.
    seconds_left: Estimated time until training ends.
    learn_rate: Of the last step.
    skipped: Steps so far that were left out because their loss wasn't finite.
    loss_distillation: Mean squared distance to the teacher's vectors since the last report; NaN
        without a teacher.
    """

    step: int
    epoch: int
    words: int
    seconds: float
    loss_forward: float
    loss_backward: float
    perplexity_forward: float
    perplexity_backward: float
    tokens_per_second: float
    seconds_left: float
    learn_rate: float
    skipped: int
    loss_distillation: float = math.nan

    @property
    def perplexity(self) -> float:
        """The geometric mean of both directions' held-out perplexities."""
        # A product of roots, because the product of both could exceed the range of floats.
        return math.sqrt(self.perplexity_forward) * math.sqrt(self.perplexity_backward)

    @property
    def score(self) -> float:
        """The higher the better: minus the logarithm of ``perplexity``, a token's mean
        log-probability in nats."""
        return -math.log(self.perplexity)

    def _losses(self) -> Dict[str, float]:
        losses = {"forward": self.loss_forward, "backward": self.loss_backward}
        if not math.isnan(self.loss_distillation):
            losses["distillation"] = self.loss_distillation
        return losses

    def info(self, checkpoints: Sequence[Tuple[float, int]] = ()) -> Dict[str, Any]:
        """What spaCy's loggers are given.

        checkpoints: Score and step of each evaluation so far.
        """
        return {
            "epoch": self.epoch,
            "step": self.step,
            "score": self.score,
            "other_scores": {
                "perplexity_forward": self.perplexity_forward,
                "perplexity_backward": self.perplexity_backward,
                "perplexity": self.perplexity,
                "tokens_per_second": self.tokens_per_second,
                "seconds_left": self.seconds_left,
                "learn_rate": self.learn_rate,
                "skipped": self.skipped,
            },
            "losses": self._losses(),
            "checkpoints": list(checkpoints),
            "seconds": int(self.seconds),
            "words": self.words,
            # spacy-loggers' MLflowLogger loads what lies here as a pipeline, which a biLM isn't.
            "output_path": None,
        }


class RunLog:
    """A file of reports, one JSON object a line. A number that isn't finite is ``null`` in it.

    A line counts once its end is written: what a killed process left of a line is ignored and,
    before the next line is written, cut off.

    path: The file. It need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, report: Report) -> None:
        """Write a report behind the others.

        RAISES OSError: The file can't be written; the reports before are still whole.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            file.seek(0)
            file.truncate(_whole_lines(file.read()))
            file.write(_to_line(report))

    def truncate(self, step: int) -> None:
        """Remove the reports of later steps, which a resumed run makes again.

        step: The last step that is kept.
        RAISES ValueError: The file isn't a log.
        """
        reports = self.read()
        kept = [report for report in reports if report.step <= step]
        if len(kept) < len(reports):
            with replacing(self.path) as path:
                path.write_bytes(b"".join(map(_to_line, kept)))

    def read(self) -> list[Report]:
        """All reports, in the order in which they were written; none if there is no file.

        RAISES ValueError: The file isn't a log.
        """
        if not self.path.exists():
            return []
        data = self.path.read_bytes()
        lines = data[: _whole_lines(data)].splitlines()
        return [_from_line(line, f"{self.path}:{i}") for i, line in enumerate(lines, start=1)]


def _whole_lines(data: bytes) -> int:
    """How many bytes the lines have that were written to the end."""
    return data.rfind(b"\n") + 1


def _to_line(report: Report) -> bytes:
    values = {**asdict(report), "perplexity": report.perplexity}  # for those who read the file
    known = {name: value if math.isfinite(value) else None for name, value in values.items()}
    return json.dumps(known, allow_nan=False).encode() + b"\n"


def _from_line(line: bytes, where: str) -> Report:
    try:
        values = json.loads(line)
        return Report(**{field.name: _number(values, field) for field in fields(Report)})
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{where}: not a line of a pretraining log ({type(error).__name__}: {error}). "
            "Remove or rename the file to begin a new log."
        ) from error


def _number(values: Dict[str, Any], field: Field) -> Any:
    """A line's value of one of a report's fields."""
    value = values[field.name] if field.default is MISSING else values.get(field.name)
    if value is None and field.type is float:
        return math.nan
    if type(value) not in (int, field.type):
        raise ValueError(f"{field.name} is {value!r}")
    return value
