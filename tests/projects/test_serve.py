"""The server of projects/serve: bad requests, company in batches, the end."""

import asyncio
import json
import sys
import threading
from pathlib import Path

import pytest
import spacy
from helpers import save_tiny_bilm

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
from fastapi.testclient import TestClient

sys.path.insert(0, str(Path(__file__).parents[2] / "projects" / "serve"))
from text_server.app import Limits, make_app
from text_server.batcher import Batcher, Busy


@pytest.fixture(scope="module")
def nlp(tmp_path_factory):
    source = save_tiny_bilm(tmp_path_factory.mktemp("bilm"))
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo", config={"model": {"source": str(source)}})
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "PLACE", "pattern": "bank"}])
    return nlp


@pytest.fixture
def client(nlp):
    with TestClient(make_app(nlp, Limits(3, 50, 500, 4, 6))) as client:
        yield client


def test_answers_are_the_pipelines(client, nlp):
    texts = ["The bank lends money .", "", "He sat"]
    response = client.post("/process", json={"texts": texts, "vectors": True})
    assert response.status_code == 200
    for answer, text in zip(response.json(), texts, strict=True):
        doc = nlp(text)
        found = [(ent["start"], ent["end"], ent["label"]) for ent in answer["ents"]]
        assert found == [(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents]
        assert answer["vector"] == pytest.approx(doc.vector.tolist(), abs=1e-6)
    [answer] = client.post("/process", json={"texts": ["bank"]}).json()
    assert answer == {
        "ents": [{"start": 0, "end": 4, "label": "PLACE", "text": "bank"}],
        "cats": {},
        "vector": None,
    }


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"not JSON", 422, "JSON"),
        (b"\xff\xfe\x00", 400, "parsing"),
        (b"[]", 422, "dictionary"),
        (b"{}", 422, "texts"),
        (b'{"texts": []}', 422, "at least 1"),
        (b'{"texts": "one"}', 422, "list"),
        (b'{"texts": [1]}', 422, "string"),
        (b'{"texts": ["\\ud800"]}', 422, "half a character"),
        (b'{"texts": ["a"], "vektors": true}', 422, "vektors"),
        (b'{"texts": ["a"], "vectors": "yes"}', 422, "boolean"),
        (b'{"texts": ["a", "b", "c", "d"]}', 413, "4 texts; a request has 3"),
        (b'{"texts": ["a", "' + 51 * b"x" + b'"]}', 413, "Text 1 has 51 characters; 50"),
        (b'{"texts": ["' + 600 * b"x" + b'"]}', 413, "larger than 500 bytes"),
    ],
)
def test_what_is_wrong_is_said(client, body, status, reason):
    response = client.post("/process", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == status
    assert reason in json.dumps(response.json())


def test_a_body_that_does_not_say_its_length(client):
    pieces = (b" " * 100 for _ in range(10))
    response = client.post("/process", content=pieces)
    assert response.status_code == 413


def test_health_and_metrics(client):
    assert client.get("/health").json()["components"] == ["elmo", "entity_ruler"]
    client.post("/process", json={"texts": ["a", "b"]})
    client.post("/process", json={})
    lines = client.get("/metrics").text.splitlines()
    assert 'requests_total{status="200"} 1.0' in lines
    assert 'requests_total{status="422"} 1.0' in lines
    assert "batch_texts_sum 2.0" in lines
    assert "waiting_texts 0.0" in lines


class Pipeline:
    """Doubles numbers, as soon as it may. calls: What was computed together."""

    def __init__(self):
        self.calls = []
        self.may_go_on = threading.Event()

    def __call__(self, items):
        self.calls.append(items)
        assert self.may_go_on.wait(10)
        if 13 in items:
            raise ZeroDivisionError
        return [2 * item for item in items]


def ask_all(pipeline, requests, **settings):
    """The results of requests of which the first is being computed when the others come; or the
    errors."""

    async def run():
        async with Batcher(pipeline, **{"max_items": 4, "max_waiting": 100, **settings}) as batcher:
            tasks = [asyncio.create_task(batcher(requests[0]))]
            while not pipeline.calls:
                await asyncio.sleep(0.001)
            tasks += [asyncio.create_task(batcher(items)) for items in requests[1:]]
            await asyncio.sleep(0)
            pipeline.may_go_on.set()
            # The end comes while all of them wait.
        return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(run())


def test_those_who_wait_are_computed_together_and_none_is_lost_at_the_end():
    pipeline = Pipeline()
    requests = [[1], [2, 3], [4], [5, 6], [7, 8, 9, 10, 11], [12]]
    assert ask_all(pipeline, requests) == [[2 * item for item in items] for items in requests]
    assert pipeline.calls == [[1], [2, 3, 4], [5, 6], [7, 8, 9, 10, 11], [12]]


def test_an_error_is_of_the_request_that_made_it():
    results = ask_all(Pipeline(), [[1], [2], [13], [3]])
    assert results[0::3] == [[2], [6]] and results[1] == [4]
    assert isinstance(results[2], ZeroDivisionError)


def test_too_many_are_refused():
    results = ask_all(Pipeline(), [[1], [2, 3], [4, 5], [6]], max_waiting=3)
    assert results[:2] == [[2], [4, 6]] and results[3] == [12]
    assert isinstance(results[2], Busy)


def test_who_has_gone_is_left_out():
    pipeline = Pipeline()

    async def run():
        async with Batcher(pipeline, max_items=4, max_waiting=9) as batcher:
            first = asyncio.create_task(batcher([1]))
            while not pipeline.calls:
                await asyncio.sleep(0.001)
            gone, stays = (asyncio.create_task(batcher([i])) for i in (2, 3))
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.sleep(0)
            pipeline.may_go_on.set()
            return await first, await stays

    assert asyncio.run(run()) == ([2], [6])
    assert pipeline.calls == [[1], [3]]
