"""What weasel projects share: ``python -m spacy_elmo.projects COMMAND``.

Annotated texts become ``.spacy`` files, pipelines are trained on shares of them and compared, and
results become pictures in one style. A project needs this package and nothing else of the
repository that it comes from.
"""
