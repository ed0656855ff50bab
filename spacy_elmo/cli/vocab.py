"""``python -m spacy elmo vocab``"""

from pathlib import Path
from typing import Dict, List, Optional

import spacy
import typer
from wasabi import msg

from ..formats.files import replacing
from ..pretraining.corpus import TextFiles, Tokenization, Vocabulary, tokenized_chunks
from ._help import TEXTS


def vocab(
    texts: List[str] = typer.Argument(
        ..., help=f"{TEXTS}; or directories, patterns (in quotes) or URLs of such files"
    ),
    output: Path = typer.Argument(..., help="The vocabulary: a text file with one word a line"),
    lang: str = typer.Option("en", "--lang", "-l", help="Language of the tokenizer"),
    min_count: int = typer.Option(
        1, "--min-count", "-c", min=1, help="Leave out words that occur less often"
    ),
    max_size: Optional[int] = typer.Option(
        None, "--max-size", "-m", help="Most lines, with the symbols <S>, </S> and <UNK>"
    ),
    counts: Optional[Path] = typer.Option(
        None, "--counts", help="Also write how often each of the words occurs: word, tab, number"
    ),
    n_process: Optional[int] = typer.Option(
        None, "--n-process", "-n", min=1, help="Processes that tokenize (default: one a core)"
    ),
    force: bool = typer.Option(False, "--force", "-F", help="Replace the output if it exists"),
) -> None:
    """Write the output vocabulary of a corpus: the words that a biLM learns to predict.

    The most frequent word comes first, after the symbols.
    """
    try:
        for path in (output, counts):
            if path is not None and path.exists() and (path.is_dir() or not force):
                hint = "is a directory." if path.is_dir() else "exists. --force replaces it."
                raise ValueError(f"{path} {hint}")
        n_by_word = _count_words(TextFiles(texts), lang, n_process)
        vocabulary = Vocabulary.from_counts(n_by_word, min_count=min_count, max_size=max_size)
        vocabulary.write(output)
        if counts is not None:
            _write_counts(counts, vocabulary, n_by_word)
    except (ValueError, OSError, ImportError) as error:
        msg.fail("Can't make a vocabulary", str(error), exits=1)
    n_tokens = sum(n_by_word.values())
    n_known = sum(n_by_word.get(word, 0) for word in vocabulary.words)
    msg.good(
        f"Wrote {output}: {len(vocabulary):,} words, which cover {n_known / n_tokens:.2%} of "
        f"{n_tokens:,} tokens ({len(n_by_word):,} distinct words)"
    )


def _count_words(texts: TextFiles, lang: str, n_process: Optional[int]) -> Dict[str, int]:
    """How often each word occurs."""
    n_by_word: Dict[str, int] = {}
    tokenization = Tokenization.of(spacy.blank(lang))
    for chunk in tokenized_chunks(texts, tokenization, n_process):
        for word, n in zip(chunk.words, chunk.counts.tolist(), strict=True):
            n_by_word[word] = n_by_word.get(word, 0) + n
    return n_by_word


def _write_counts(path: Path, vocabulary: Vocabulary, n_by_word: Dict[str, int]) -> None:
    lines = (f"{word}\t{n_by_word.get(word, 0)}\n" for word in vocabulary.words)
    with replacing(path) as temporary:
        temporary.write_bytes("".join(lines).encode("utf-8"))
