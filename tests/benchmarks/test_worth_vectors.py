import numpy as np
import spacy


def test_forms_of_lowercase_words_share_their_vectors(tmp_path):
    from worth.static_vectors import save_lowercase

    table = np.array([[1, 0], [0, 1]], dtype="float32")
    save_lowercase(["paris", "us"], table, tmp_path / "vectors")
    doc = spacy.load(tmp_path / "vectors")("paris Paris US us pArIs")
    assert [token.vector.tolist() for token in doc] == [[1, 0], [1, 0], [0, 1], [0, 1], [0, 0]]


def test_raw_text(tmp_path):
    from worth.static_vectors import read_docs

    (tmp_path / "a.txt").write_text("One text .\nAnother  one .\n")
    (tmp_path / "b.jsonl").write_text('{"tokens": ["cut", "already"]}\n')
    docs = list(read_docs([str(tmp_path / "a.txt"), str(tmp_path / "b.jsonl")]))
    assert [[token.text for token in doc] for doc in docs] == [
        ["One", "text", "."],
        ["Another", " ", "one", "."],
        ["cut", "already"],
    ]
