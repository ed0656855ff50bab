"""Sends requests to a server that it starts, at this machine alone: one at a time and many at once,
and a last load in the middle of which the server is told to stop."""

import asyncio
import json
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import typer

Figures = dict[str, Any]

SENTENCE = "the bank lends money to people who sit by the river and count 20 euros or dollars"


def main(
    pipeline: Path = typer.Argument(..., help="The pipeline to serve"),
    output: Path = typer.Argument(..., help="The JSON file of the figures; a table goes beside it"),
    n_requests: int = typer.Option(400, min=1, help="Requests of each load"),
    at_once: int = typer.Option(32, min=1, help="Requests that are on their way together"),
    n_words: int = typer.Option(20, min=1, help="Words of a text; a request has one text"),
) -> None:
    """Measure, and say whether any request was lost."""
    random.seed(0)
    texts = [" ".join(random.choices(SENTENCE.split(), k=n_words)) for _ in range(n_requests)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "text_server", str(pipeline), "--port", str(port)]
    server = subprocess.Popen(command, text=True, stdout=subprocess.PIPE)
    try:
        figures = asyncio.run(measure(f"http://127.0.0.1:{port}", texts, at_once, server))
    finally:
        server.kill()
        server.wait()
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(figures, indent=1))
    output.with_suffix(".md").write_text(table(figures))
    print(table(figures))
    if figures["stopped"]["lost"]:
        raise SystemExit("Requests were lost when the server was told to stop.")


async def measure(
    url: str, texts: list[str], at_once: int, server: "subprocess.Popen[str]"
) -> dict[str, Figures]:
    """RETURNS: Figures of each load."""
    limits = httpx.Limits(max_connections=at_once)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        await until_ready(client, server)
        figures = {
            "one at a time": await load(client, texts, 1),
            f"{at_once} at once": await load(client, texts, at_once),
        }
        return {**figures, "stopped": await load_and_stop(client, texts, at_once, server)}


async def until_ready(client: httpx.AsyncClient, server: "subprocess.Popen[str]") -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise SystemExit("The server didn't start.")
        try:
            if (await client.get("/health")).is_success:
                return
        except httpx.TransportError:
            await asyncio.sleep(0.1)
    raise SystemExit("The server doesn't answer.")


async def load(client: httpx.AsyncClient, texts: list[str], at_once: int) -> Figures:
    """RETURNS: Requests a second, and the seconds from request to answer, in rising order."""
    gate = asyncio.Semaphore(at_once)

    async def ask(text: str) -> float:
        async with gate:
            start = time.perf_counter()
            (await client.post("/process", json={"texts": [text]})).raise_for_status()
            return time.perf_counter() - start

    start = time.perf_counter()
    times = sorted(await asyncio.gather(*map(ask, texts)))
    return {
        "requests_per_second": len(texts) / (time.perf_counter() - start),
        "p50": statistics.median(times),
        "p95": times[int(0.95 * (len(times) - 1))],
        "times": times,
    }


async def load_and_stop(
    client: httpx.AsyncClient,
    texts: list[str],
    at_once: int,
    server: "subprocess.Popen[str]",
) -> Figures:
    """Tell the server to stop while requests are on their way.

    RETURNS: Requests that were answered, that were turned away (status 503), that found the door
        closed, and that were lost: received by the server, as it says itself, but never answered.
    """
    counts = {"answered": 0, "turned away": 0, "found the door closed": 0}
    gate = asyncio.Semaphore(at_once)

    async def ask(text: str) -> None:
        async with gate:
            try:
                # A connection of its own: one that is kept may be closed while a request sets out.
                headers = {"Connection": "close"}
                response = await client.post("/process", json={"texts": [text]}, headers=headers)
                counts["answered" if response.is_success else "turned away"] += 1
            except httpx.TransportError:  # or lost: only the server knows what it had received
                counts["found the door closed"] += 1
            if counts["answered"] == len(texts) // 4:
                server.send_signal(signal.SIGTERM)

    await asyncio.gather(*map(ask, texts))
    words, _ = await asyncio.to_thread(server.communicate)
    n_received = int(re.findall(r"(\d+) requests were received", words)[0])
    lost = n_received - 2 * len(texts) - counts["answered"] - counts["turned away"]
    counts["found the door closed"] -= lost
    return {**counts, "lost": lost}


def table(figures: dict[str, Figures]) -> str:
    """In Markdown."""
    lines = ["| | requests a second | p50, ms | p95, ms |", "|---|---|---|---|"]
    for name, row in figures.items():
        if name != "stopped":
            times = f"{1000 * row['p50']:.1f} | {1000 * row['p95']:.1f}"
            lines.append(f"| {name} | {row['requests_per_second']:.0f} | {times} |")
    stopped = figures["stopped"]
    counts = ", ".join(f"{n:.0f} {what}" for what, n in stopped.items())
    return "\n".join([*lines, "", f"Told to stop under the second load: {counts}."]) + "\n"


if __name__ == "__main__":
    typer.run(main)
