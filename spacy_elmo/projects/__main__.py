"""``python -m spacy_elmo.projects``"""

import typer

from .assets import assets
from .compare import compare
from .convert import convert
from .evaluate import evaluate
from .learn import learn
from .plots.confusion import confusion
from .plots.curve import curve
from .plots.weights import weights

app = typer.Typer(
    name="spacy_elmo.projects",
    help="What weasel projects share: corpora, trainings side by side, tables and pictures.",
    no_args_is_help=True,
    add_completion=False,
)
for command in (assets, convert, evaluate, compare, curve, confusion, weights):
    app.command(command.__name__)(command)
app.command("learn", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(
    learn
)

if __name__ == "__main__":
    app(prog_name="python -m spacy_elmo.projects")
