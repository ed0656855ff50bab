"""Static vectors by floret, from the raw text that the biLM reads and cut into the same words."""

import tempfile
from pathlib import Path

import spacy
import typer
from spacy.language import Language
from spacy.training.initialize import convert_vectors
from spacy.util import load_config
from wasabi import msg

from spacy_elmo.records import open_input


def main(
    config: Path = typer.Argument(..., exists=True, help="A config, for language and tokenizer"),
    raw: Path = typer.Argument(..., exists=True, help="The text, as JSON lines"),
    output: Path = typer.Argument(..., help="Folder for the vectors, as [initialize] reads it"),
    dim: int = typer.Option(100, help="Values of a vector"),
    epochs: int = typer.Option(5, help="How often the text is read"),
    buckets: int = typer.Option(20_000, help="Rows of the table, which all words share"),
    min_count: int = typer.Option(2, help="Rarer words are left out"),
) -> None:
    """A word's vector is the sum of those of its parts, so that no word has none."""
    try:
        import floret
    except ImportError:
        msg.fail("Static vectors need floret", "pip install -r requirements.txt", exits=1)
    nlp_config = load_config(config, interpolate=False)["nlp"]
    lang = nlp_config["lang"]
    kept = {"tokenizer": nlp_config["tokenizer"]} if "tokenizer" in nlp_config else {}
    nlp = spacy.blank(lang, config={"nlp": kept})
    with tempfile.TemporaryDirectory() as folder:
        words, vectors = Path(folder) / "words.txt", Path(folder) / "vectors.floret"
        n_words = write_words(nlp, raw, words)
        model = floret.train_unsupervised(
            str(words),
            model="skipgram",
            mode="floret",
            hashCount=2,
            bucket=buckets,
            minn=3 if lang != "zh" else 1,  # letters of the parts
            maxn=5 if lang != "zh" else 2,
            dim=dim,
            epoch=epochs,
            minCount=min_count,
            thread=1,  # the same vectors every time
            verbose=0,
        )
        model.save_floret_vectors(str(vectors))
        filled = spacy.blank(lang)
        convert_vectors(filled, vectors, truncate=0, prune=-1, mode="floret")
        filled.to_disk(output)
    msg.good(f"{output}: vectors of {n_words:,} words of text")


def write_words(nlp: Language, raw: Path, path: Path) -> int:
    """Write a text a line, spaces between its words.

    RETURNS: How many there are.
    """
    n_words = 0
    with path.open("w", encoding="utf-8") as file:
        for record in open_input(raw, nlp.vocab).records:
            words = [token.text for token in nlp.tokenizer(str(record.value)) if not token.is_space]
            n_words += len(words)
            file.write(" ".join(words) + "\n")
    return n_words


if __name__ == "__main__":
    typer.run(main)
