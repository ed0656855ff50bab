"""Which URLs are opened at all, and how they are shown. What a stranger gives as a source is data:
a URL never chooses the program that reads it."""

import re

# fsspec and smart-open open far more, and some of that runs what a server sends.
SCHEMES = ("https", "http", "s3", "gs")

# A scheme of one letter is a drive. fsspec's chains (zip://inner::https://outer) are known as URLs,
# so that they are refused rather than looked for among the files.
SCHEME = r"(?:\w+::)*[A-Za-z][\w+.-]+://"
_QUERY = re.compile(r"(://[^?\s\"'<>]*)\?[^\s\"'<>)]*")
_CREDENTIALS = re.compile(r"(?<=://)[^/?\s]*@")


def is_url(source: str) -> bool:
    """Whether a source is a URL (``scheme://…``) rather than a name or a path."""
    return re.match(SCHEME, source) is not None


def check_url(url: str) -> None:
    """RAISES ValueError: The URL's scheme isn't one of ``SCHEMES``, or it is a chain of several."""
    if "::" in url or url.partition("://")[0] not in SCHEMES:
        raise ValueError(
            f"{shown(url)}: not a URL that is opened here. Those begin with "
            f"{', '.join(f'{scheme}://' for scheme in SCHEMES)}, and there are no chains (::)."
        )


def shown(source: str) -> str:
    """A source as messages show it: a URL without ``user:secret@`` and without its query, which in
    a signed URL is a key. What is no URL stays as it is."""
    if not is_url(source):
        return source
    return re.sub(r"(?<=://)[^/]*@", "", source.partition("?")[0])


def without_secrets(message: str) -> str:
    """A message of another library, with every URL in it as it would be ``shown``."""
    return _QUERY.sub(r"\1", _CREDENTIALS.sub("", message))
