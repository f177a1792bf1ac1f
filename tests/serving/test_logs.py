"""Lines that a machine can read and that hold nothing of what was asked."""

import json
import logging
import os

import pytest

from serving.logs import CALLER, ERROR, Form, RequestLog, write_events

SCOPE = {"method": "POST", "client": ("192.0.2.7", 4000), "headers": [], "query_string": b"name=Jane"}


def line(form: Form = Form.JSON, status: int = 200, **more: object) -> str:
    written: list[bytes] = []
    log = RequestLog(form, written.append, clock=lambda: 1_700_000_000.25)
    log.request({**SCOPE, **more}, "/predict", status, 0.00123)
    (one,) = written
    assert one.endswith(b"\n") and one.count(b"\n") == 1
    return one.decode()


def test_a_line_is_json_with_the_time_in_utc():
    assert json.loads(line()) == {
        "time": "2023-11-14T22:13:20.250Z",
        "route": "/predict",
        "method": "POST",
        "status": 200,
        "ms": 1.23,
        "bytes": 0,
    }


def test_a_line_of_text_holds_the_same():
    assert line(Form.TEXT, **{CALLER: "board"}) == (
        "2023-11-14T22:13:20.250Z POST /predict 200 1.23 ms 0 bytes caller=board\n"
    )


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "ä", "\x1b[31m"])
@pytest.mark.parametrize("form", [Form.JSON, Form.TEXT])
def test_no_text_can_end_its_place_in_a_line(form, name):
    written = line(form, **{CALLER: name})
    if form is Form.JSON:
        assert json.loads(written)["caller"] == name
    assert written.isascii() and written[:-1].isprintable()


def test_a_method_that_nobody_knows_is_not_repeated():
    assert json.loads(line(method="JANE"))["method"] == "OTHER"


@pytest.mark.parametrize(("status", "named"), [(200, False), (422, False), (401, True), (403, True), (429, True)])
def test_the_clients_address_is_named_only_where_it_may_be_an_attack(status, named):
    assert ("client" in json.loads(line(status=status))) is named


def test_an_error_is_named_by_its_reference():
    assert json.loads(line(status=500, **{ERROR: "0badcafe"}))["error"] == "0badcafe"


def test_nothing_is_written_when_lines_are_off():
    RequestLog(Form.OFF, lambda written: pytest.fail("written")).request(SCOPE, "/predict", 200, 0.1)


def test_a_log_that_nobody_reads_does_not_fail_the_request(monkeypatch):
    def broken(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(os, "write", broken)
    RequestLog().request(SCOPE, "/predict", 200, 0.1)


@pytest.fixture
def events():
    log = logging.getLogger("resecta")
    before = log.handlers, log.propagate, log.level
    yield log
    log.handlers, log.propagate, log.level = before


def test_events_stand_in_the_same_shape(events, capsys):
    write_events(Form.JSON)
    events.info("A new model answers: %s", "8")
    try:
        raise ValueError("no such file")
    except ValueError as error:
        events.error("Not ready", exc_info=error)
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["level"], first["message"]) == ("info", "A new model answers: 8")
    assert "ValueError: no such file" in second["trace"]


def test_errors_are_written_also_when_lines_are_off(events, capsys):
    write_events(Form.OFF)
    events.info("quiet")
    events.error("loud")
    assert "quiet" not in (err := capsys.readouterr().err) and "loud" in err
