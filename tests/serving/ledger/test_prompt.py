"""What the event loop commits itself, what it leaves to the thread, and what becomes of it on closing."""

import asyncio
import sqlite3
import threading
import time
from contextlib import contextmanager

import pytest

from serving.ledger import Ledger, LedgerUnavailable, prompt
from serving.ledger.line import Line, LineHeld


class Disk:
    """A disk under both lines of a ledger, as slow as it is told to be; notes which of them wrote."""

    def __init__(self, ledger, monkeypatch):
        self.seconds, self.wrote = 0.0, []
        writer = ledger._writer
        for name, line in (("loop", writer._prompt._committer.line), ("thread", writer._committer.line)):
            monkeypatch.setattr(line, "transaction", self._slowed(name, line.transaction))

    def _slowed(self, name, transaction):
        @contextmanager
        def slowed():
            with transaction() as cursor:
                yield cursor
                time.sleep(self.seconds)
            self.wrote.append(name)

        return slowed


def test_a_slow_disk_is_the_threads_until_a_commit_of_the_thread_was_quick(ledger, predicted, monkeypatch):
    monkeypatch.setattr(prompt, "AVOIDED", 0.0)
    disk = Disk(ledger, monkeypatch)

    async def appended(seconds):
        disk.seconds = seconds
        await ledger.append([predicted()])
        # The thread tells the loop's side once it has told who waited.
        await asyncio.sleep(0.05)

    async def all_of_them():
        for seconds in (0, 0.06, 0.06, 0.06, 0, 0):
            await appended(seconds)

    asyncio.run(all_of_them())
    assert disk.wrote == ["loop", "loop", "thread", "thread", "thread", "loop"]


def test_a_disk_that_was_slow_is_left_to_the_thread_for_a_while_however_quick_it_is(ledger, predicted, monkeypatch):
    disk = Disk(ledger, monkeypatch)

    async def all_of_them():
        for seconds in (0.06, 0, 0, 0):
            disk.seconds = seconds
            await ledger.append([predicted()])

    asyncio.run(all_of_them())
    assert disk.wrote == ["loop", "thread", "thread", "thread"]


def test_a_request_that_waits_for_its_commit_is_told_when_the_ledger_is_closed(file, key, predicted):
    async def closed_beneath():
        ledger = Ledger(f"sqlite:///{file}", key)
        waiting = [asyncio.create_task(ledger.append([predicted()])) for _ in range(3)]
        await asyncio.sleep(0)
        closing = threading.Thread(target=ledger.close)
        closing.start()
        closing.join()
        late = asyncio.create_task(ledger.append([predicted()]))
        return await asyncio.wait_for(asyncio.gather(*waiting, late, return_exceptions=True), 2)

    told = asyncio.run(closed_beneath())
    assert [(type(each), str(each)) for each in told] == [(LedgerUnavailable, "The ledger is closed.")] * 4


@pytest.mark.parametrize("code", ["SQLITE_BUSY", "SQLITE_BUSY_RECOVERY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED"])
def test_a_line_that_does_not_wait_knows_each_way_in_which_another_holds_the_file(ledger, code):
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode, error.sqlite_errorname = getattr(sqlite3, code), code
    line = Line(ledger.database, waits=False)
    with pytest.raises(LineHeld), line.transaction():
        raise error
    waits = Line(ledger.database)
    with pytest.raises(LedgerUnavailable, match=code), waits.transaction():
        raise error
    line.close()
