"""The addresses: ``POST /process``, ``GET /health`` and ``GET /metrics`` (for Prometheus)."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from fastapi import FastAPI, HTTPException, Response
from fastapi import Request as HTTPRequest
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from spacy.language import Language

from .answers import Answer, Question, Request, answer
from .batcher import Batcher, Busy
from .body_limit import BodyLimit


@dataclass(frozen=True)
class Limits:
    """How much may be asked.

    texts: Of a request.
    characters: Of a text.
    body_bytes: Of a request's body.
    batch_texts: That are computed together.
    waiting_texts: That may wait; requests beyond get the status 503.
    """

    texts: int = 64
    characters: int = 20_000
    body_bytes: int = 2_000_000
    batch_texts: int = 128
    waiting_texts: int = 2_000


def make_app(nlp: Language, limits: Limits = Limits()) -> FastAPI:
    """The application.

    nlp: The pipeline that reads the texts.
    limits: How much may be asked.
    """
    metrics = CollectorRegistry()
    requests = Counter("requests", "By status", ["status"], registry=metrics)
    seconds = Histogram("request_seconds", "From request to answer", registry=metrics)
    batches = Histogram(
        "batch_texts", "In a call", buckets=[2**i for i in range(11)], registry=metrics
    )
    batcher: Batcher[Question, Answer] = Batcher(
        partial(answer, nlp), limits.batch_texts, limits.waiting_texts, batches.observe
    )
    waiting = Gauge("waiting_texts", "Not yet in a call", registry=metrics)
    waiting.set_function(lambda: batcher.n_waiting)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        answer(nlp, [("ready", True)])  # weights are read before the first request
        async with batcher:
            yield
        print(f"Stopped. {app.state.n_received} requests were received.", flush=True)

    app = FastAPI(title="A spaCy pipeline", lifespan=lifespan)
    app.state.n_received = 0
    app.add_middleware(BodyLimit, max_bytes=limits.body_bytes)

    @app.exception_handler(RequestValidationError)
    async def refuse(request: HTTPRequest, error: RequestValidationError) -> JSONResponse:
        # FastAPI's own answer sends back what it was sent.
        detail = [{"where": problem["loc"], "reason": problem["msg"]} for problem in error.errors()]
        return JSONResponse({"detail": detail}, status_code=422)

    @app.middleware("http")
    async def measure(
        request: HTTPRequest, call_next: Callable[[HTTPRequest], Awaitable[Response]]
    ) -> Response:
        start = time.perf_counter()
        app.state.n_received += request.url.path == "/process"
        response = await call_next(request)
        if request.url.path == "/process":
            requests.labels(str(response.status_code)).inc()
            seconds.observe(time.perf_counter() - start)
        return response

    @app.post("/process")
    async def process(request: Request) -> list[Answer]:
        """Entities, categories and vectors of texts, in their order."""
        _check(request, limits)
        try:
            return await batcher([(text, request.vectors) for text in request.texts])
        except Busy:
            headers = {"Retry-After": "1"}
            raise HTTPException(503, "Too many texts are waiting.", headers) from None

    @app.get("/health")
    async def health() -> dict[str, object]:
        """Whether requests are taken, and by what."""
        return {"status": "ok", "pipeline": nlp.meta["name"], "components": nlp.pipe_names}

    @app.get("/metrics")
    async def show_metrics() -> Response:
        """Counts and times, in the text format of Prometheus."""
        return Response(generate_latest(metrics), media_type=CONTENT_TYPE_LATEST)

    return app


def _check(request: Request, limits: Limits) -> None:
    """RAISES HTTPException: More is asked than may be."""
    if len(request.texts) > limits.texts:
        reason = f"{len(request.texts):,} texts; a request has {limits.texts:,} at most."
        raise HTTPException(413, reason)
    for i, text in enumerate(request.texts):
        if len(text) > limits.characters:
            reason = f"Text {i} has {len(text):,} characters; {limits.characters:,} at most."
            raise HTTPException(413, reason)
