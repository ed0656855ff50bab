import pytest

from spacy_elmo.urls import check_url, is_url, shown, without_secrets


@pytest.mark.parametrize(
    "text",
    [
        "https://host/a",
        "http://host:80/",
        "s3://bucket/key",
        "gs://bucket",
        "memory://a",
        "zip://a.hdf5::https://host/b.zip",
        "simplecache::s3://bucket/key",
        "abfs+x.y-z://a",
    ],
)
def test_a_url(text):
    assert is_url(text)


@pytest.mark.parametrize(
    "text",
    ["en_small", "allennlp/small", "a/b.hdf5", r"C:\a", "C://a", "https:/a", "://a", "", "hf:a/b"],
)
def test_not_a_url(text):
    assert not is_url(text)


@pytest.mark.parametrize("text", ["https://a", "http://a/b?c=d://e", "s3://a/b", "gs://a/b"])
def test_four_schemes_are_opened(text):
    check_url(text)


@pytest.mark.parametrize(
    "text", ["reference://::http://a", "http://a::b", "hdfs://a", "ssh://a", "file://a", "S3://a"]
)
def test_others_are_not(text):
    with pytest.raises(ValueError, match="https://, http://, s3://, gs://"):
        check_url(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://us@er:pass@host/a@b?key=1@2", "https://host/a@b"),
        ("s3://bucket/a", "s3://bucket/a"),
        ("C:/who?/a", "C:/who?/a"),
        ("en_small", "en_small"),
    ],
)
def test_what_is_shown_of_a_source(text, expected):
    assert shown(text) == expected


def test_messages_of_others():
    message = "403, url='https://me:pw@host/a?key=1&b=2' (see http://help/?q=1) really? Yes?no"
    assert without_secrets(message) == (
        "403, url='https://host/a' (see http://help/) really? Yes?no"
    )
