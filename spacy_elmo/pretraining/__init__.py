"""From raw text to a biLM, in rooms. Each room's ``__init__`` names what others may use of it.

``corpus``: text becomes tokens on disk, a vocabulary and batches.
``distillation``: a teacher, its vectors of the tokens, and batches that bring them.
``learning``: a language model and what it takes to train it, step by step.
``evaluation``: what a biLM is worth: perplexity, neighbours of words in context.
``reports``: what a run tells of itself: log, loggers, curves, model card.
``settings``: the config of a run, checked.

Above the rooms, ``run`` tells the story of one run from top to bottom: ``start`` makes the model,
``checkpoints`` keeps what it takes to go on, ``interrupts`` lets it end early, and ``results``
writes what it leaves. Imports point down: corpus; distillation; learning, evaluation and
reports; settings; start and checkpoints; results; run.
"""
