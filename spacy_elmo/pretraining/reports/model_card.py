"""The model card of a pretrained biLM: a ``README.md`` that is filled in from its run."""

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Optional, Tuple, Union
from urllib.parse import urlsplit

from ...bilm import BiLMConfig, CharCNNConfig
from ...formats import PUBLISHED, is_hub
from ...formats.files import replacing
from .units import format_count, format_decimal, format_duration, format_size

Setting = Union[str, int, float, bool, None]

_MAX_FILES = 20  # a corpus may have thousands


@dataclass(frozen=True)
class CorpusFacts:
    """A tokenized text.

    files: Each file's path or URL, of which the card gives the last part only, and its size in
        bytes, None if unknown.
    n_sentences: Its sentences.
    n_tokens: Its tokens, boundaries of sentences not counted.
    n_distinct_words: Its distinct words.
    """

    files: Sequence[Tuple[str, Optional[int]]]
    n_sentences: int
    n_tokens: int
    n_distinct_words: int


@dataclass(frozen=True)
class HeldOutFacts:
    """What the finished biLM makes of the held-out text.

    corpus: The text.
    perplexity_forward: With the full softmax.
    perplexity_backward: The same of the other direction.
    n_unknown: Its tokens that are not in the vocabulary.
    stateful: Whether the LSTMs' state was carried from sentence to sentence.
    """

    corpus: CorpusFacts
    perplexity_forward: float
    perplexity_backward: float
    n_unknown: int
    stateful: bool


@dataclass(frozen=True)
class TeacherFacts:
    """A model whose vectors the biLM has learned to tell.

    name: What it is called, or where it lay.
    layers: Which of its layers.
    licence: Of its weights; None if unknown.
    n_words: How many words of the training text it has read.
    """

    name: str
    layers: Sequence[int]
    licence: Optional[str]
    n_words: int


def software_versions() -> dict[str, str]:
    """The versions of what runs here, by name."""
    packages = {name: version(name) for name in ("spacy-elmo", "torch", "spacy", "numpy")}
    return {**packages, "Python": platform.python_version()}


@dataclass(frozen=True)
class CardFacts:
    """What a model card tells: of a run and of the biLM that it made.

    name: The biLM's name, that of its directory.
    lang: Code of the spaCy language whose tokenizer was used.
    span_getter: Name of what cut the Docs into sentences.
    config: The biLM's shape.
    n_parameters: Its parameters, without the softmax.
    vocabulary_size: Words that it learned to predict, with the three symbols.
    corpus: The training text.
    n_trained: Tokens that it was trained on, repetitions counted.
    seconds: Time of training.
    settings: What else shaped the training, in order, each under the name that the card gives it:
        ``{"Optimizer": "Adam", "Learning rate": 0.002, "Tokens a window": 20}``.
    held_out: What it is worth; None if no text was held out.
    teacher: Who taught it beside the text, what licence that is under, and how many words; None
        for no teacher.
    started_from: The source of the weights that training started from; None for random ones.
    licence: Of the weights; None leaves the line out.
    versions: The software, by name.
    """

    name: str
    lang: str
    span_getter: str
    config: BiLMConfig
    n_parameters: int
    vocabulary_size: int
    corpus: CorpusFacts
    n_trained: int
    seconds: float
    settings: Mapping[str, Setting]
    held_out: Optional[HeldOutFacts] = None
    teacher: Optional[TeacherFacts] = None
    started_from: Optional[str] = None
    licence: Optional[str] = None
    versions: Mapping[str, str] = field(default_factory=software_versions)


def write_model_card(record: CardFacts, path: Path) -> None:
    """Write a model card.

    record: What it tells.
    path: The file to write, ``README.md`` of the biLM's directory.
    """
    with replacing(path) as temporary:
        temporary.write_text(model_card(record), encoding="utf-8", newline="\n")


def model_card(record: CardFacts) -> str:
    """A model card in Markdown; the same for the same record.

    record: What it tells.
    """
    parts = [
        f"# {record.name}",
        f"A biLM for `{record.lang}`, pretrained with spacy-elmo.",
        _table(_rows(record)),
        "## Training text",
        _files(record.corpus),
    ]
    if record.held_out is not None:
        parts += ["## Held-out text", _files(record.held_out.corpus)]
    parts += ["## Settings", _table({n: _setting(v) for n, v in record.settings.items()})]
    parts += ["## Use", _USE.format(name=record.name)]
    return "\n\n".join(parts) + "\n"


_USE = """\
Without spaCy, from the folder that holds `{name}`:

```python
from spacy_elmo import BiLM

bilm = BiLM.load("./{name}")
layers = bilm.embed([["He", "sat"], ["Hello"]])
```

In a spaCy pipeline:

```ini
[components.elmo.model]
@architectures = "spacy-elmo.BiLM.v1"
source = "./{name}"
```"""


def _rows(record: CardFacts) -> dict[str, str]:
    corpus, config = record.corpus, record.config
    epochs = record.n_trained / corpus.n_tokens
    rows = {
        "Architecture": _architecture(config),
        "Layers": f"{config.n_layers} of width {config.width}",
        "Parameters": f"{record.n_parameters:,} (without the softmax)",
        "Tokenization": f"spaCy's `{record.lang}`, cut into sentences by `{record.span_getter}`",
        "Training text": f"{_size_of(corpus)}, {corpus.n_distinct_words:,} distinct words",
        "Vocabulary": f"{record.vocabulary_size:,} words, with `<S>`, `</S>` and `<UNK>`",
        "Started from": f"`{_source_name(record.started_from)}`" if record.started_from else "",
        "Teacher": _teacher(record.teacher),
        "Trained on": f"{format_count(record.n_trained)} tokens ({epochs:.2f} epochs)",
        "Time": f"{format_duration(record.seconds)} (hours, minutes, seconds)",
        "Held-out perplexity": _perplexity(record.held_out, record.vocabulary_size),
        "Software": ", ".join(f"{name} {number}" for name, number in record.versions.items()),
        "Licence": record.licence or "",
    }
    return {name: value for name, value in rows.items() if value}


def _teacher(teacher: Optional[TeacherFacts]) -> str:
    if teacher is None:
        return ""
    name = teacher.name
    if Path(name).is_absolute() or name.startswith("."):
        name = _last_part(name)
    licence = teacher.licence or "unknown"
    words = format_count(teacher.n_words)
    layers = ", ".join(map(str, teacher.layers))
    return f"`{name}` (licence: {licence}): its layers {layers} of {words} words were learned, too"


def _architecture(config: BiLMConfig) -> str:
    cnn, lstm = config.char_cnn, config.lstm
    embedding = cnn.embedding if isinstance(cnn, CharCNNConfig) else cnn.characters
    filters = ", ".join(f"{n}·{width}" for width, n in cnn.filters)
    clips = [
        f"{what} clipped at {clip:g}"
        for what, clip in [("cells", lstm.cell_clip), ("projections", lstm.proj_clip)]
        if clip is not None
    ]
    return (
        f"character CNN (embeddings of {embedding.dim}; filters {filters}; {cnn.activation}), "
        f"{_count(cnn.n_highway, 'highway layer')}, projection to {lstm.projection_dim}; "
        f"{_count(lstm.n_layers, 'LSTM layer')} a direction of {lstm.dim} cells, projected to "
        f"{lstm.projection_dim}; {'' if lstm.use_skip_connections else 'no '}skip connections, "
        f"{' and '.join(clips) or 'no clips'}"
    )


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _perplexity(held_out: Optional[HeldOutFacts], vocabulary_size: int) -> str:
    if held_out is None:
        return "not measured"
    start = "the state carried on" if held_out.stateful else "each from a zero state"
    unknown = held_out.n_unknown / held_out.corpus.n_tokens
    return (
        f"{format_decimal(held_out.perplexity_forward)} forward, "
        f"{format_decimal(held_out.perplexity_backward)} backward: full softmax over "
        f"{vocabulary_size:,} words, {_size_of(held_out.corpus)}, {start}; {unknown:.1%} of the "
        "tokens are outside the vocabulary"
    )


def _size_of(corpus: CorpusFacts) -> str:
    return f"{corpus.n_sentences:,} sentences of {corpus.n_tokens:,} tokens"


def _files(corpus: CorpusFacts) -> str:
    lines = [
        f"- `{_last_part(path)}`" + ("" if size is None else f", {format_size(size)}")
        for path, size in corpus.files[:_MAX_FILES]
    ]
    left_out = corpus.files[_MAX_FILES:]
    if left_out:
        sizes = sum(size or 0 for _, size in left_out)
        lines.append(f"- and {len(left_out):,} more, {format_size(sizes)}")
    return "\n".join(lines)


def _last_part(path: str) -> str:
    """The name at the end of a path or URL. Where a file lay, and what the query of a URL holds,
    doesn't belong into a card."""
    if "://" in path:
        path = urlsplit(path).path
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def _source_name(source: str) -> str:
    return source if source in PUBLISHED or is_hub(source) else _last_part(source)


def _setting(value: Setting) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _table(rows: Mapping[str, str]) -> str:
    lines = [f"| {_cell(name)} | {_cell(value)} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def _cell(text: str) -> str:
    """A text that can't end its cell."""
    return " ".join(text.replace("|", "\\|").split())
