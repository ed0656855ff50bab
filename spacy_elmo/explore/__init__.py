"""A page in the browser that shows what a biLM knows of words in context.

``subject`` opens what is looked into, a biLM or a pipeline. ``building`` reads texts once into an
``index`` of the layers of all their words. ``neighbours`` finds the nearest ones in it, and
``projection`` draws a map of those of one word. ``page`` is the Streamlit script, which shows all
of this with ``drawing``.
"""

from .building import find_or_build_index
from .index import Index
from .neighbours import nearest
from .subject import LearnedMix, Subject, open_subject

__all__ = [
    "Index",
    "LearnedMix",
    "Subject",
    "find_or_build_index",
    "nearest",
    "open_subject",
]
