"""Addresses as they stand in the documentation of those who published the biLMs."""

import re

import pytest

from spacy_elmo.formats import PUBLISHED
from spacy_elmo.urls import is_url

BUCKET = "https://allennlp.s3.amazonaws.com/models/elmo"

# The table of ELMoForManyLangs' README: language and number in the NLPL repository.
MANY_LANGS = """
Arabic 136 | Bulgarian 137 | Catalan 138 | Czech 139 | Old Church Slavonic 140 | Danish 141 |
German 142 | Greek 143 | English 144 | Spanish 145 | Estonian 146 | Basque 147 | Persian 148 |
Finnish 149 | French 150 | Irish 151 | Galician 152 | Ancient Greek 153 | Hebrew 154 | Hindi 155 |
Croatian 156 | Hungarian 157 | Indonesian 158 | Italian 159 | Japanese 160 | Korean 161 |
Latin 162 | Latvian 163 | Norwegian Bokmål 165 | Dutch 164 | Norwegian Nynorsk 166 | Polish 167 |
Portuguese 168 | Romanian 169 | Russian 170 | Slovak 171 | Slovene 172 | Swedish 173 |
Turkish 174 | Uyghur 175 | Ukrainian 176 | Urdu 177 | Vietnamese 178 | Chinese 179
"""
CODES = {  # ISO 639-1, or 639-3 where there is none
    "Arabic": "ar",
    "Bulgarian": "bg",
    "Catalan": "ca",
    "Czech": "cs",
    "Old Church Slavonic": "cu",
    "Danish": "da",
    "German": "de",
    "Greek": "el",
    "English": "en",
    "Spanish": "es",
    "Estonian": "et",
    "Basque": "eu",
    "Persian": "fa",
    "Finnish": "fi",
    "French": "fr",
    "Irish": "ga",
    "Galician": "gl",
    "Ancient Greek": "grc",
    "Hebrew": "he",
    "Hindi": "hi",
    "Croatian": "hr",
    "Hungarian": "hu",
    "Indonesian": "id",
    "Italian": "it",
    "Japanese": "ja",
    "Korean": "ko",
    "Latin": "la",
    "Latvian": "lv",
    "Norwegian Bokmål": "nb",
    "Dutch": "nl",
    "Norwegian Nynorsk": "nn",
    "Polish": "pl",
    "Portuguese": "pt",
    "Romanian": "ro",
    "Russian": "ru",
    "Slovak": "sk",
    "Slovene": "sl",
    "Swedish": "sv",
    "Turkish": "tr",
    "Uyghur": "ug",
    "Ukrainian": "uk",
    "Urdu": "ur",
    "Vietnamese": "vi",
    "Chinese": "zh",
}


@pytest.mark.parametrize(
    ("name", "options", "weights"),
    [
        (
            "small",
            "2x1024_128_2048cnn_1xhighway/elmo_2x1024_128_2048cnn_1xhighway_options.json",
            "2x1024_128_2048cnn_1xhighway/elmo_2x1024_128_2048cnn_1xhighway_weights.hdf5",
        ),
        (
            "medium",
            "2x2048_256_2048cnn_1xhighway/elmo_2x2048_256_2048cnn_1xhighway_options.json",
            "2x2048_256_2048cnn_1xhighway/elmo_2x2048_256_2048cnn_1xhighway_weights.hdf5",
        ),
        (
            "original",
            "2x4096_512_2048cnn_2xhighway/elmo_2x4096_512_2048cnn_2xhighway_options.json",
            "2x4096_512_2048cnn_2xhighway/elmo_2x4096_512_2048cnn_2xhighway_weights.hdf5",
        ),
        (
            "original_5.5b",
            "2x4096_512_2048cnn_2xhighway_5.5B/elmo_2x4096_512_2048cnn_2xhighway_5.5B_options.json",
            "2x4096_512_2048cnn_2xhighway_5.5B/elmo_2x4096_512_2048cnn_2xhighway_5.5B_weights.hdf5",
        ),
        (
            "pubmed",
            "contributed/pubmed/elmo_2x4096_512_2048cnn_2xhighway_options.json",
            "contributed/pubmed/elmo_2x4096_512_2048cnn_2xhighway_weights_PubMed_only.hdf5",
        ),
        (
            "portuguese",
            "contributed/pt/elmo_pt_options.json",
            "contributed/pt/elmo_pt_weights.hdf5",
        ),
    ],
)
def test_allennlp(name, options, weights):
    assert PUBLISHED[f"allennlp/{name}"].source == (f"{BUCKET}/{options}", f"{BUCKET}/{weights}")


def test_many_langs():
    table = [re.fullmatch(r"(.+) (\d+)", cell.strip()).groups() for cell in MANY_LANGS.split("|")]
    assert len(table) == 44
    addresses = {
        f"many_langs/{CODES[language]}": f"https://vectors.nlpl.eu/repository/11/{number}.zip"
        for language, number in table
    }
    published = {name: bilm for name, bilm in PUBLISHED.items() if name.startswith("many_langs/")}
    assert {name: bilm.source for name, bilm in published.items()} == addresses
    for language, code in CODES.items():
        assert published[f"many_langs/{code}"].description.startswith(language)


def test_there_are_no_others():
    assert len(PUBLISHED) == 6 + 44


def test_everything_comes_over_https():
    for bilm in PUBLISHED.values():
        for url in [bilm.source] if isinstance(bilm.source, str) else bilm.source:
            assert is_url(url)
            assert url.startswith("https://")


def test_those_who_made_them_are_named():
    assert all("aclanthology.org" in bilm.citation for bilm in PUBLISHED.values())
