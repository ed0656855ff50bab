"""``python -m text_server PIPELINE``"""

import spacy
import typer
import uvicorn

from .app import Limits, make_app

DRAIN_SECONDS = 30  # for requests that are there when the server is told to stop


def main(
    pipeline: str = typer.Argument(..., help="Name or path of a spaCy pipeline"),
    host: str = typer.Option("127.0.0.1", help="The address to listen at"),
    port: int = typer.Option(8000, help="The port to listen at"),
    texts: int = typer.Option(Limits.texts, min=1, help="Most texts of a request"),
    characters: int = typer.Option(Limits.characters, min=1, help="Most characters of a text"),
    body_bytes: int = typer.Option(Limits.body_bytes, min=1, help="Most bytes of a request"),
    batch_texts: int = typer.Option(Limits.batch_texts, min=1, help="Texts computed together"),
    waiting_texts: int = typer.Option(Limits.waiting_texts, min=1, help="Texts that may wait"),
) -> None:
    """Serve a pipeline until SIGTERM; requests that have been accepted are answered first."""
    limits = Limits(texts, characters, body_bytes, batch_texts, waiting_texts)
    app = make_app(spacy.load(pipeline), limits)
    uvicorn.run(
        app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=DRAIN_SECONDS
    )


if __name__ == "__main__":
    typer.run(main)
