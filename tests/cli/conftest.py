"""Fixtures that tests of the command line share."""

import pytest
from typer.testing import CliRunner

from spacy_elmo.cli import elmo_cli


@pytest.fixture
def run():
    """Runs a command and gives its exit code and output, in which runs of white space are one
    blank, because messages are wrapped."""

    def call(*arguments):
        result = CliRunner().invoke(elmo_cli, [str(argument) for argument in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.exit_code, " ".join(result.output.split())

    return call
