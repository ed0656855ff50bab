"""What is asked of a text, and what is told of it."""

from typing import Annotated, Optional

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from spacy.language import Language
from spacy.tokens import Doc

Question = tuple[str, bool]  # a text, and whether its vector is wanted


class Entity(BaseModel):
    """start, end: Positions in the text, in characters."""

    start: int
    end: int
    label: str
    text: str


class Answer(BaseModel):
    """What the pipeline finds in a text; what it has no component for is empty.

    ents: Entities.
    cats: Categories with their scores, from 0 to 1.
    vector: The mean of the tokens' vectors; only where it was asked for.
    """

    ents: list[Entity]
    cats: dict[str, float]
    vector: Optional[list[float]] = None


def _check_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"not Unicode: half a character at position {error.start}") from None
    return text


class Request(BaseModel):
    """What is asked.

    texts: What is to be read.
    vectors: Whether to give each text's vector.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    texts: Annotated[list[Annotated[str, AfterValidator(_check_text)]], Field(min_length=1)]
    vectors: bool = False


def answer(nlp: Language, questions: list[Question]) -> list[Answer]:
    """Read texts. What the vocabulary learns of them is forgotten, so that memory doesn't grow."""
    with nlp.memory_zone():
        return [_answer(doc, wanted) for doc, wanted in nlp.pipe(questions, as_tuples=True)]


def _answer(doc: Doc, has_vector: bool) -> Answer:
    ents = [
        Entity(start=ent.start_char, end=ent.end_char, label=ent.label_, text=ent.text)
        for ent in doc.ents
    ]
    vector = doc.vector.tolist() if has_vector else None
    return Answer(ents=ents, cats=doc.cats, vector=vector)
