"""The biLMs that others have published, by the names that a source can have."""

from dataclasses import dataclass
from typing import Optional, Union

# AllenNLP 2.10.1, allennlp/modules/elmo.py and token_embedders/elmo_token_embedder.py
_ALLENNLP = "https://allennlp.s3.amazonaws.com/models/elmo/"
_PETERS = "Peters et al. 2018, https://aclanthology.org/N18-1202"
# As the authors say at https://github.com/allenai/allennlp/issues/1462
_UNRESTRICTED = "no licence stated; no restrictions, say its authors"

# http://wiki.nlpl.eu/Vectors/home
_NLPL = "https://vectors.nlpl.eu/repository/11/"
_MANY_LANGS = (
    "Che et al. 2018, https://aclanthology.org/K18-2005; "
    "Fares et al. 2017, https://aclanthology.org/W17-0237"
)
# The README of https://github.com/HIT-SCIR/ELMoForManyLangs; its numbers are 136 to 179 in the
# order of the names that Universal Dependencies has for the languages (…, nl, no_bokmaal, …).
_FIRST_LANGUAGE = 136
_LANGUAGES = {
    "ar": "Arabic",
    "bg": "Bulgarian",
    "ca": "Catalan",
    "cs": "Czech",
    "cu": "Old Church Slavonic",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "eu": "Basque",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "ga": "Irish",
    "gl": "Galician",
    "grc": "Ancient Greek",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "la": "Latin",
    "lv": "Latvian",
    "nl": "Dutch",
    "nb": "Norwegian Bokmål",
    "nn": "Norwegian Nynorsk",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sk": "Slovak",
    "sl": "Slovene",
    "sv": "Swedish",
    "tr": "Turkish",
    "ug": "Uyghur",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "vi": "Vietnamese",
    "zh": "Chinese (traditional characters)",
}


@dataclass(frozen=True)
class Published:
    """A published biLM.

    source: The URL of an archive, or those of options and weights.
    description: What it was trained on.
    licence: As far as its authors say.
    citation: Whom to cite.
    """

    source: Union[str, tuple[str, str]]
    description: str
    licence: Optional[str]
    citation: str


def _allennlp(stem: str, weights: str, description: str, licence: Optional[str]) -> Published:
    options = f"{_ALLENNLP}{stem}_options.json"
    return Published((options, f"{_ALLENNLP}{stem}_{weights}.hdf5"), description, licence, _PETERS)


def _size(size: str, n_parameters: str, text: str) -> Published:
    description = f"English, {n_parameters} million parameters, {text}"
    return _allennlp(f"{size}/elmo_{size}", "weights", description, _UNRESTRICTED)


# Numbers of parameters and training texts: https://allennlp.org/elmo
_NEWS = "1 Billion Word Benchmark"
PUBLISHED: dict[str, Published] = {
    "allennlp/small": _size("2x1024_128_2048cnn_1xhighway", "13.6", _NEWS),
    "allennlp/medium": _size("2x2048_256_2048cnn_1xhighway", "28.0", _NEWS),
    "allennlp/original": _size("2x4096_512_2048cnn_2xhighway", "93.6", _NEWS),
    "allennlp/original_5.5b": _size(
        "2x4096_512_2048cnn_2xhighway_5.5B", "93.6", "5.5 billion words of Wikipedia and news"
    ),
    "allennlp/pubmed": _allennlp(
        "contributed/pubmed/elmo_2x4096_512_2048cnn_2xhighway",
        "weights_PubMed_only",
        "English, 93.6 million parameters, PubMed",
        None,
    ),
    "allennlp/portuguese": _allennlp("contributed/pt/elmo_pt", "weights", "Portuguese", None),
} | {
    f"many_langs/{code}": Published(
        f"{_NLPL}{number}.zip", f"{language}, 20 million words", "MIT", _MANY_LANGS
    )
    for number, (code, language) in enumerate(_LANGUAGES.items(), _FIRST_LANGUAGE)
}
