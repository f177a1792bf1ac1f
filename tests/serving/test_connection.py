"""What a hostile client can do before it is asked who it is: bounded, refused in words, and without harm to others."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import httpx
import pytest
import uvicorn

from serving import connection
from serving.connection import BoundedConnection

GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n"


async def app(scope, receive, send) -> None:
    """Read all and answer how many headers came."""
    assert scope["type"] == "http"
    while (await receive()).get("more_body", False):
        pass
    body = json.dumps({"headers": len(scope["headers"])}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


class Served:
    """A server of one connection class, in a thread."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        config = uvicorn.Config(app, http=BoundedConnection, lifespan="off", log_config=None, timeout_keep_alive=5)
        self.server = uvicorn.Server(config)
        self.thread = Thread(target=lambda: asyncio.run(self.server.serve([self.socket])), daemon=True)

    def __enter__(self) -> "Served":
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(10)

    @contextmanager
    def raw(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as made:
            yield made


@pytest.fixture
def served() -> Iterator[Served]:
    with Served() as running:
        yield running


def answer(made: socket.socket) -> tuple[int, str]:
    """Read until the server closes; return the status of the last answer and the code of its error."""
    received = b""
    try:
        while part := made.recv(65536):
            received += part
    except ConnectionResetError:
        pass
    head, _, body = received.rpartition(b"HTTP/1.1 ")[2].partition(b"\r\n\r\n")
    return int(head[:3]), json.loads(body)["errors"][0]["code"] if b"errors" in body else ""


def told(made: socket.socket, answers: int = 1) -> bytes:
    """Read until so many answers of the app have come whole."""
    received = b""
    while received.count(b'{"headers"') < answers or not received.endswith(b"}"):
        part = made.recv(65536)
        assert part, received
        received += part
    return received


def flood(made: socket.socket, piece: bytes, most: int) -> int:
    """Send a piece again and again until it is no longer taken; return the bytes sent."""
    sent = 0
    try:
        while sent < most:
            made.sendall(piece)
            sent += len(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return sent


@pytest.mark.parametrize("piece", [b"X-A: b\r\n", b"x" * 1000, b"X-A: " + b"b" * 500 + b"\r\n"])
def test_headers_without_end_are_refused_where_the_limit_is_passed(served, piece):
    with served.raw() as made:
        made.sendall(GET)
        assert flood(made, piece, 50_000_000) < 20_000_000
    with served.raw() as made:
        made.sendall(GET + piece * (connection.LARGEST_HEAD // len(piece) + 1))
        assert answer(made) == (431, "head_too_large")


def test_an_address_without_end_is_refused(served):
    with served.raw() as made:
        made.sendall(b"GET /" + b"a" * connection.LARGEST_HEAD)
        assert answer(made) == (431, "head_too_large")


@pytest.mark.parametrize("begun", [b"", b"GET /livez HT", GET])
def test_a_head_that_does_not_come_is_given_up(served, monkeypatch, begun):
    monkeypatch.setattr(connection, "HEAD_WITHIN", 0.2)
    with served.raw() as made:
        made.sendall(begun)
        assert answer(made) == (408, "head_too_slow")


def test_a_second_head_that_does_not_come_is_given_up_as_well(served, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_WITHIN", 0.3)
    with served.raw() as made:
        made.sendall(GET + b"\r\n")
        assert told(made).startswith(b"HTTP/1.1 200")
        made.sendall(b"GET")
        assert answer(made) == (408, "head_too_slow")


def test_what_is_no_http_is_refused_in_our_shape(served):
    with served.raw() as made:
        made.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert answer(made) == (400, "invalid_http")


def test_connections_beyond_the_limit_are_turned_away_and_those_within_are_answered(served, monkeypatch):
    monkeypatch.setattr(connection, "CONNECTIONS", 3)
    held = [socket.create_connection(("127.0.0.1", served.port), timeout=10) for _ in range(3)]
    for made in held:
        made.sendall(GET + b"\r\n")
        assert told(made).startswith(b"HTTP/1.1 200")
    with served.raw() as made:
        assert answer(made) == (503, "busy")
    held[0].sendall(GET + b"\r\n")
    assert told(held[0]).startswith(b"HTTP/1.1 200")
    for made in held:
        made.close()
    deadline = time.monotonic() + 5
    while httpx.get(f"http://127.0.0.1:{served.port}/").status_code != 200:
        assert time.monotonic() < deadline


def test_trailers_are_dropped_and_a_message_has_an_end(served):
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    with served.raw() as made:
        made.sendall(head + b"X-Late: 1\r\n" * 100 + b"\r\n")
        assert b'{"headers": 2}' in told(made)
    with served.raw() as made:
        made.sendall(head)
        assert flood(made, b"X-Late: 1\r\n" * 1000, 200_000_000) < 40_000_000


def test_requests_on_one_connection_and_in_one_piece_are_answered_in_order(served):
    with served.raw() as made:
        made.sendall((GET + b"\r\n") * 3)
        assert told(made, 3).count(b"HTTP/1.1 200") == 3
        time.sleep(0.1)
        made.sendall(GET + b"\r\n")
        assert told(made).startswith(b"HTTP/1.1 200")
