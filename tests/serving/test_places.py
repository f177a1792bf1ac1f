"""A place is kept as long as what it bounds is in memory: while it is worked on, and until the answer was read."""

import asyncio
import json
import threading
from typing import Any

import pytest

from serving import gate as gates
from serving.places import Places
from serving.problems import Refusal
from serving.sending import PIECE

pytestmark = pytest.mark.anyio

PATIENT = {"age_years": 60}


class Reader:
    """A client of a batch that reads only when it is told to."""

    def __init__(self) -> None:
        self.reads, self.started = asyncio.Event(), asyncio.Event()
        self.status, self.pieces = 0, list[bytes]()
        self._asked = False

    async def receive(self) -> Any:
        if self._asked:
            await asyncio.Event().wait()
        self._asked = True
        return {"type": "http.request", "body": json.dumps({"patients": [PATIENT] * 40}).encode()}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.length = int(dict(message["headers"])[b"content-length"])
            self.started.set()
            return
        self.pieces.append(message["body"])
        await self.reads.wait()

    def ask(self, gate: Any) -> Any:
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/predict_batch",
            "headers": [(b"content-type", b"application/json")],
            "query_string": b"",
            "server": ("127.0.0.1", 3000),
            "client": ("127.0.0.1", 50000),
        }
        return asyncio.create_task(gate(scope, self.receive, self.send))


@pytest.fixture
def built(front, small) -> Any:
    """A front whose answers of a patient are 10 kB each."""
    application = small()
    application.scorer.answer = lambda request: {"regimens": [], "text": "x" * 10_000}
    return front(application)


async def test_a_batch_keeps_its_place_until_its_answer_was_read(built):
    readers = [Reader() for _ in range(3)]
    tasks = [reader.ask(built.gate) for reader in readers]
    for reader in readers[:2]:
        await asyncio.wait_for(reader.started.wait(), 10)
    await asyncio.sleep(0.1)
    assert not readers[2].started.is_set() and built.routes.batches.inside == 3
    # Of what is not read, no more than a piece was handed to the server.
    assert [len(reader.pieces) for reader in readers] == [1, 1, 0]
    assert len(readers[0].pieces[0]) < 2 * PIECE < readers[0].length
    readers[0].reads.set()
    await asyncio.wait_for(readers[2].started.wait(), 10)
    for reader in readers:
        reader.reads.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 10)
    assert built.routes.batches.inside == 0
    for reader in readers:
        whole = b"".join(reader.pieces)
        assert len(whole) == reader.length
        assert len(json.loads(whole)["predictions"]) == 40


async def test_who_does_not_read_loses_the_place(built, monkeypatch):
    monkeypatch.setattr(gates, "READ_WITHIN", 0.1)
    readers = [Reader() for _ in range(3)]
    tasks = [reader.ask(built.gate) for reader in readers]
    await asyncio.wait_for(readers[2].started.wait(), 10)
    await asyncio.wait_for(asyncio.gather(*tasks), 10)
    assert built.routes.batches.inside == 0
    assert [reader.status for reader in readers] == [200] * 3
    assert all(sum(map(len, reader.pieces)) < reader.length for reader in readers)


async def test_a_batch_that_fails_gives_its_place_back(front, small):
    def fail(request: Any) -> None:
        raise ValueError

    built = front(small(fail))
    async with built.client() as client:
        for _ in range(12):
            assert (await client.post("/predict_batch", json={"patients": [PATIENT]})).status_code == 500
            assert (await client.post("/predict_batch", json={"patients": [{}]})).status_code == 422
    assert built.routes.batches.inside == 0


async def test_work_that_was_given_up_keeps_its_place_until_it_ends():
    places, release = Places("batches", waiting=1), threading.Event()
    given_up = asyncio.create_task(places.work(lambda: release.wait(20)))
    await asyncio.sleep(0.05)
    given_up.cancel()
    next_one = asyncio.create_task(places.work(lambda: 2))
    await asyncio.sleep(0.1)
    assert given_up.done() and not next_one.done()
    with pytest.raises(Refusal, match="busy"):
        await places.take()
    release.set()
    assert await asyncio.wait_for(next_one, 10) == 2
    assert places.inside == 0


async def test_who_stops_waiting_takes_no_place():
    places = Places("batches", waiting=1)
    place = await places.take()
    waiting = asyncio.create_task(places.take())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert places.inside == 1
    place.leave()
    assert await asyncio.wait_for(places.work(lambda: 1), 10) == 1
    assert places.inside == 0
