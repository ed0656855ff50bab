"""``python -m spacy elmo evaluate``"""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Dict, List, Optional

import spacy
import torch
import typer
from wasabi import msg

from ..api import BiLM
from ..bilm import BiLMNetwork
from ..formats import MissingVocabulary, read_softmax
from ..pretraining.corpus import TextFiles, Tokenization, tokenize
from ..pretraining.evaluation import (
    Neighbours,
    Occurrence,
    Predictions,
    Sentences,
    StoredSentences,
    find_neighbours,
    perplexity,
)
from ..pretraining.learning import LanguageModel
from ..pretraining.start import with_softmax
from ..urls import shown
from ._help import SOURCE, TEXTS, VOCABULARY

_CONTEXT = 8  # words that are shown on each side of an occurrence
_SENTENCES_AT_A_TIME = 256  # of --per-word
_STATES = {"zero": "From zeros", "carried": "State carried on"}


def evaluate(
    source: str = typer.Argument(..., help=SOURCE),
    text: List[str] = typer.Argument(
        ...,
        help=f"{TEXTS}: files, directories, patterns or URLs",
    ),
    vocabulary: Optional[Path] = typer.Option(
        None, "--vocabulary", exists=True, dir_okay=False, help=VOCABULARY
    ),
    words: str = typer.Option(
        "",
        "--words",
        "-w",
        help="Words, separated by commas, whose nearest neighbours in context are shown. Needs no "
        "softmax",
    ),
    occurrences: int = typer.Option(
        5, "--occurrences", min=1, help="For how many occurrences of each of the words"
    ),
    lang: str = typer.Option("en", "--lang", "-l", help="Language of the tokenizer"),
    sentences: Optional[int] = typer.Option(
        None, "--sentences", min=1, help="Only the first so many sentences"
    ),
    streams: Optional[int] = typer.Option(
        None,
        "--streams",
        min=1,
        help="Where the state is carried on: parts that the text is cut into, which are read side "
        "by side (default: as many as leave each 50 sentences, at most 64; 1 is exact and slow)",
    ),
    gpu_id: int = typer.Option(-1, "--gpu-id", "-g", help="GPU ID or -1 for CPU"),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of tables"),
    per_word: bool = typer.Option(
        False,
        "--per-word",
        help="Print each sentence's perplexity and each word's surprisal instead, in bits: a line "
        "of JSON for each sentence",
    ),
    substitutes: int = typer.Option(
        0,
        "--substitutes",
        min=0,
        help="With --per-word, so many words that the biLM would have put in each word's place",
    ),
) -> None:
    """Measure how well a biLM predicts a text.

    Perplexity and --per-word need the softmax that the biLM was trained with, which published
    weights don't have. --words shows without one what a biLM makes of words in context.

    The text is cut into sentences by spacy-elmo.sentences.v1 with its default settings, also where
    the biLM was trained with another span getter.
    """
    if substitutes and not per_word:
        msg.fail("--substitutes needs --per-word", exits=1)
    asked = [word.strip() for word in words.split(",") if word.strip()]
    try:
        if gpu_id >= 0 and not torch.cuda.is_available():
            raise ValueError("PyTorch finds no GPU. Leave out --gpu-id.")
        network = BiLM.load(source, device="cpu" if gpu_id < 0 else f"cuda:{gpu_id}").network
        model, reason = _read_model(source, network, vocabulary)
        if model is None and (per_word or not asked):
            raise ValueError(f"{reason} --words shows the neighbours of words without one.")
        with TemporaryDirectory(prefix="spacy-elmo-", ignore_cleanup_errors=True) as directory:
            tokenization = Tokenization.of(spacy.blank(lang))
            store = tokenize(TextFiles(text), Path(directory), tokenization)
            held_out = StoredSentences(store, sentences)
            if per_word and model is not None:
                for line in _per_word(model, held_out, substitutes):
                    print(json.dumps(line, ensure_ascii=False))
                return
            results: Dict[str, Any] = {"source": source, "texts": text}
            if model is None:
                results["perplexity"] = None
                results["reason"] = reason
            else:
                results.update(_perplexities(model, held_out, streams))
            found = list(find_neighbours(network, held_out, asked, n_occurrences=occurrences))
            del store, held_out  # on Windows, files in use can't be removed
    except (ValueError, OSError, ImportError) as error:
        msg.fail(f"Can't evaluate '{shown(source)}'", str(error), exits=1)
    if as_json:
        results["neighbours"] = [_as_json(neighbours) for neighbours in found]
        print(json.dumps(results, ensure_ascii=False))
        return
    if model is None:
        msg.warn("Perplexity can't be computed", reason)
    else:
        _print_perplexities(results)
    for word in asked:
        _print_neighbours(word, [neighbours for neighbours in found if neighbours.word == word])


def _read_model(
    source: str, network: BiLMNetwork, vocabulary: Optional[Path]
) -> "tuple[Optional[LanguageModel], str]":
    """RETURNS: What predicts words, or None and why there is none."""
    try:
        softmax = read_softmax(source, vocabulary)
    except MissingVocabulary as error:
        return None, f"{error} (--vocabulary)"
    if softmax is None:
        return None, (
            f"'{shown(source)}' has no softmax: it can't say which word it expects. What "
            "'spacy elmo pretrain' writes has one, unless it was left out as in en_small, and so "
            "have checkpoints of bilm-tf; what is published as HDF5 has none."
        )
    return with_softmax(network, softmax), ""


def _perplexities(
    model: LanguageModel, sentences: Sentences, streams: Optional[int]
) -> Dict[str, Any]:
    """Of a sentence that starts from zeros, and of one that starts where the last one ended."""
    by_state = {}
    for state in _STATES:
        start = perf_counter()
        stateful = state == "carried"
        result = perplexity(model, sentences, stateful=stateful, n_streams=streams)
        by_state[state] = {
            "forward": result.forward,
            "backward": result.backward,
            "both": result.both,
            "words_per_second": round(result.n_tokens / (perf_counter() - start)),
        }
    return {
        "n_sentences": result.n_sentences,
        "n_words": result.n_tokens,
        "n_unknown": result.n_unknown,
        "vocabulary_size": len(model.vocabulary),
        "perplexity": by_state,
    }


def _per_word(
    model: LanguageModel, sentences: Sentences, n_substitutes: int
) -> Iterator[Dict[str, Any]]:
    """Each sentence from zeros."""
    predictions = Predictions(model)
    for start in range(0, len(sentences), _SENTENCES_AT_A_TIME):
        end = min(start + _SENTENCES_AT_A_TIME, len(sentences))
        words = [sentences[i] for i in range(start, end)]
        results = [
            {
                "words": sentence,
                "perplexity": surprisal.perplexity,
                "known": surprisal.known.tolist(),
                "forward": surprisal.forward.tolist(),
                "backward": surprisal.backward.tolist(),
                "end": surprisal.end,
                "begin": surprisal.begin,
            }
            for sentence, surprisal in zip(words, predictions.surprisal(words), strict=True)
        ]
        if n_substitutes:
            found = predictions.substitutes(words, n_substitutes)
            for result, places in zip(results, found, strict=True):
                result["substitutes"] = [[each._asdict() for each in place] for place in places]
        yield from results


def _print_perplexities(results: Dict[str, Any]) -> None:
    n_words, n_unknown = results["n_words"], results["n_unknown"]
    columns = [results["perplexity"][state] for state in _STATES]
    msg.table(
        [
            ("Perplexity forward", *(f"{column['forward']:,.2f}" for column in columns)),
            ("Perplexity backward", *(f"{column['backward']:,.2f}" for column in columns)),
            ("Geometric mean", *(f"{column['both']:,.2f}" for column in columns)),
            ("Words a second", *(f"{column['words_per_second']:,}" for column in columns)),
        ],
        header=("", *_STATES.values()),
        divider=True,
        aligns=("l", "r", "r"),
    )
    msg.table(
        {
            "Text": f"{results['n_sentences']:,} sentences, {n_words:,} words",
            "Out of vocabulary": f"{n_unknown:,} words, {n_unknown / n_words:.2%}",
            "Vocabulary": f"{results['vocabulary_size']:,} words",
        }
    )


def _print_neighbours(word: str, found: List[Neighbours]) -> None:
    if not found:
        msg.warn(f"'{word}' is in fewer than two different sentences of the text")
        return
    msg.divider(word)
    for neighbours in found:
        print(_show(neighbours.occurrence))
        for layer, nearest in enumerate(neighbours.layers, 1):
            for occurrence, cosine in nearest:
                print(f"  layer {layer}  {cosine:.2f}  {_show(occurrence)}")
        print()


def _show(occurrence: Occurrence) -> str:
    """The words around an occurrence, which stands in brackets."""
    words, position = occurrence
    start, end = max(position - _CONTEXT, 0), position + 1 + _CONTEXT
    before, after = words[start:position], words[position + 1 : end]
    shown = [*before, f"[{words[position]}]", *after]
    return f"{'… ' if start else ''}{' '.join(shown)}{' …' if end < len(words) else ''}"


def _as_json(neighbours: Neighbours) -> Dict[str, Any]:
    def place(occurrence: Occurrence) -> Dict[str, Any]:
        return {"words": list(occurrence.words), "position": occurrence.position}

    return {
        "word": neighbours.word,
        **place(neighbours.occurrence),
        "layers": [
            [{**place(occurrence), "cosine": cosine} for occurrence, cosine in nearest]
            for nearest in neighbours.layers
        ],
    }
