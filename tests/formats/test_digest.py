import numpy as np

from spacy_elmo.formats.digest import digest, path_digest


def test_it_is_the_published_xxh3():
    """Of nothing, as the reference implementation's ``xxh128sum`` prints it."""
    assert digest() == digest(b"") == "99aa06d3014798d86001c324468d497f"


def test_parts_are_one_after_the_other():
    array = np.arange(6, dtype="float32").reshape(2, 3)
    assert digest(b"a", array.data, b"b") == digest(b"a" + array.tobytes() + b"b")


def test_every_bit_counts():
    content = bytes(1000)
    digests = {digest(content)}
    for bit in range(8 * len(content)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        digests.add(digest(changed))
    assert len(digests) == 8 * len(content) + 1


def test_the_digest_of_a_file(tmp_path):
    for content in (b"", b"abc" * 1_000_000):
        (tmp_path / "a").write_bytes(content)
        assert path_digest(tmp_path / "a") == digest(content)
