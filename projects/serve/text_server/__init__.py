"""Serves a spaCy pipeline over HTTP.

``batcher``: requests that arrive together become one call of the pipeline.
``body_limit``: bodies that are too large are refused before they are read.
``answers``: what is told of a text.
``app``: the addresses, and what they take and give.
"""
