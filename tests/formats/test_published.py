"""Addresses as they stand in the documentation of those who published the biLMs."""

import json
import re

import pytest
from pydantic import ValidationError

from spacy_elmo.formats import PUBLISHED
from spacy_elmo.formats.published import Published
from spacy_elmo.formats.urls import Url

EMBEDDIA_LEAST = 270_000_000  # words, those of Latvian


def addresses(name):
    return [file.urls[0] for file in PUBLISHED[name].files]


def test_the_default_of_allennlp():
    """The two constants of allennlp/modules/token_embedders/elmo_token_embedder.py."""
    folder = "https://allennlp.s3.amazonaws.com/models/elmo/2x4096_512_2048cnn_2xhighway"
    stem = f"{folder}/elmo_2x4096_512_2048cnn_2xhighway"
    assert addresses("allennlp/original") == [f"{stem}_options.json", f"{stem}_weights.hdf5"]


@pytest.mark.parametrize(
    ("code", "language", "number"),
    [("ar", "Arabic", 136), ("en", "English", 144), ("nb", "Norwegian", 165), ("zh", "Chin", 179)],
)
def test_languages_have_the_numbers_of_elmo_for_many_langs(code, language, number):
    """The first, a middle one, one that isn't in the order of its code, and the last."""
    bilm = PUBLISHED[f"many_langs/{code}"]
    assert addresses(f"many_langs/{code}") == [
        f"https://vectors.nlpl.eu/repository/11/{number}.zip"
    ]
    assert bilm.language.startswith(language)


def test_no_language_stands_for_another():
    names = [name for name in PUBLISHED if re.fullmatch("many_langs/[a-z]{2,3}", name)]
    names.remove("many_langs/zhs")  # not in the repository that numbers them
    numbers = {int(re.search(r"/(\d+)\.zip$", addresses(name)[0])[1]) for name in names}
    assert numbers == set(range(136, 180))
    assert len({PUBLISHED[name].language for name in names}) == len(names) == 44
    assert all(PUBLISHED[name].lang == name.split("/")[1] for name in names)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("norelmo/wiki_lemmas", 210),
        ("norelmo/wiki", 211),
        ("norelmo/30", 217),
        ("norelmo/100", 218),
    ],
)
def test_norwegian_has_the_numbers_of_the_repository_of_vectors(name, number):
    assert addresses(name) == [f"https://vectors.nlpl.eu/repository/20/{number}.zip"]


def test_seven_languages_of_embeddia():
    """The Slovene file's address is in its users' instructions; all languages are in one record."""
    folder = "https://www.clarin.si/repository/xmlui/bitstream/handle/11356/1277"
    assert addresses("embeddia/sl") == [f"{folder}/slovenian-elmo.tar.gz"]
    names = [name for name in PUBLISHED if name.startswith("embeddia/")]
    assert {PUBLISHED[name].lang for name in names} == {"et", "fi", "hr", "lt", "lv", "sl", "sv"}
    files = {Url.parse(addresses(name)[0]).beside("") for name in names}
    assert {str(url) for url in files} == {f"{folder}/"}
    assert len({addresses(name)[0] for name in names}) == 7


def test_bioelmo_is_two_files_of_one_name():
    options, weights = (Url.parse(url) for url in addresses("bioelmo"))
    assert options.query.startswith("?id=19sLZ1NhUtD_bMgTstSRWoVDx6Vm-T8Qt&")
    assert weights.query.startswith("?id=1CHRd5YQrt3ys64WfJkJR1KX72-2CaT4I&")
    assert options.place != weights.place


def test_a_word_of_warning_for_little_text():
    """No one else of the list has read as little as 20 million words."""
    for name, bilm in PUBLISHED.items():
        is_little = bilm.n_words is not None and bilm.n_words < 100_000_000
        assert is_little == ("little text" in (bilm.warning or "")), name
        for other in re.findall(r"; (\S+) has read more", bilm.warning or ""):
            assert PUBLISHED[other].language.split()[0] == bilm.language.split()[0]
            assert (PUBLISHED[other].n_words or EMBEDDIA_LEAST) > bilm.n_words


def test_everything_comes_over_https():
    for bilm in PUBLISHED.values():
        for file in bilm.files:
            assert all(Url.parse(source).scheme == "https" for source in file.sources)


def test_mirrors_are_of_the_same_file():
    for bilm in PUBLISHED.values():
        for file in bilm.files:
            assert len({Url.parse(url).name for url in file.urls}) == 1
            assert len(set(file.urls)) == len(file.urls)


def test_the_line_about_a_bilm_says_what_is_known():
    bilm = PUBLISHED["allennlp/small"]
    assert "English" in bilm.description and "13.6 million" in bilm.description
    assert PUBLISHED["norelmo/30"].words == "2,000 million"
    assert "None" not in "".join(bilm.description for bilm in PUBLISHED.values())


def test_a_checksum_needs_no_code():
    entry = json.loads(PUBLISHED["many_langs/ar"].model_dump_json())
    entry["files"][0]["sha256"] = "0" * 64
    (file,) = Published.model_validate(entry).files
    assert Url.parse(file.sources[0]).sha256 == "0" * 64
    entry["files"][0]["sha256"] = "0" * 63
    with pytest.raises(ValidationError):
        Published.model_validate(entry)
