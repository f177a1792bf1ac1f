"""How much one caller may ask, and how long anything may take."""

import asyncio

import pytest

from serving.limits import Deadlines, Rate, network


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_and_what_follows_waits_for_its_turn():
    clock = Clock()
    rate = Rate(10, burst_seconds=2, clock=clock)
    assert [rate.wait("board") for _ in range(20)] == [0.0] * 20
    assert rate.wait("board") == pytest.approx(0.1)
    # Asking in vain costs nothing: the wait stays as long.
    assert rate.wait("board") == pytest.approx(0.1)
    clock.now += 0.1
    assert rate.wait("board") == 0.0
    assert rate.wait("board") > 0.0


def test_the_average_is_the_rate_however_it_is_asked():
    clock = Clock()
    rate = Rate(50, burst_seconds=2, clock=clock)
    passed = 0
    for _ in range(100_000):
        clock.now += 0.001
        passed += rate.wait("script") == 0.0
    assert passed == pytest.approx(50 * 100 + 100, abs=2)


def test_one_caller_does_not_use_up_anothers():
    rate = Rate(1, burst_seconds=1, clock=Clock())
    assert rate.wait("one") == 0.0
    assert rate.wait("one") > 0.0
    assert rate.wait("two") == 0.0


def test_a_rate_below_one_still_lets_one_request_pass():
    clock = Clock()
    rate = Rate(0.1, clock=clock)
    assert rate.wait("slow") == 0.0
    assert rate.wait("slow") == pytest.approx(10.0)


def test_callers_without_number_take_no_memory_without_end():
    rate = Rate(1, callers=100, clock=Clock())
    for n in range(10_000):
        rate.wait(f"@10.0.{n // 256}.{n % 256}")
    assert len(rate) == 100


def test_a_host_with_a_whole_ipv6_network_is_one_client():
    assert network("2001:db8:1:2::1") == network("2001:db8:1:2:ffff::9")
    assert network("2001:db8:1:2::1") != network("2001:db8:1:3::1")
    assert network("192.0.2.1") != network("192.0.2.2")
    assert network("") == ""


def run(coroutine) -> object:
    return asyncio.run(coroutine)


def test_a_task_is_ended_soon_after_its_time_and_can_go_on():
    async def scenario() -> tuple[bool, float]:
        deadlines, task = Deadlines(every=0.02), asyncio.current_task()
        loop = asyncio.get_running_loop()
        started = loop.time()
        deadlines.set(task, 0.05)
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            ours = deadlines.ended(task)
        deadlines.clear(task)
        took = loop.time() - started
        await asyncio.sleep(0)  # not cancelled any more
        return ours, took

    ours, took = run(scenario())
    assert ours and 0.05 <= took < 0.5


def test_a_cancellation_from_elsewhere_is_not_taken_for_ours():
    async def scenario() -> bool:
        deadlines = Deadlines(every=0.02)

        async def work() -> bool:
            task = asyncio.current_task()
            deadlines.set(task, 10)
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                return deadlines.ended(task)
            finally:
                deadlines.clear(task)
            return True

        task = asyncio.create_task(work())
        await asyncio.sleep(0.05)
        task.cancel()
        return await task

    assert run(scenario()) is False


def test_what_ended_in_time_is_forgotten_and_looking_stops():
    async def scenario() -> bool:
        deadlines, task = Deadlines(every=0.01), asyncio.current_task()
        deadlines.set(task, 0.02)
        deadlines.clear(task)
        await asyncio.sleep(0.05)
        return not deadlines._due and deadlines._loop is None

    assert run(scenario())
