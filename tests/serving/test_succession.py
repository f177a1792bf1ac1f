"""A new champion takes the place of the old one; what must not be served does not, and is named."""

import gc
import json
import shutil
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving import succession
from serving.application import Application, assemble
from serving.measures import Measures
from serving.settings import Settings
from serving.source import fingerprint
from serving.succession import Succession
from training.bundle.manifest import seal

pytestmark = pytest.mark.anyio


class Seat:
    def __init__(self, application: Application) -> None:
        self.application = application

    @property
    def version(self) -> str | None:
        scorer = self.application.scorer
        return None if scorer is None else scorer.model_card["version"]


def rewrite(folder: Path, name: str, change: Callable[[Any], None], sealed: bool = True) -> None:
    document = json.loads((folder / name).read_text())
    change(document)
    (folder / name).write_text(json.dumps(document))
    if sealed:
        seal(folder)


def version(folder: Path, number: str, level: float = -0.5) -> None:
    """Make a bundle another version, with another level of every outcome."""

    def move(prior: Any) -> None:
        for outcome in prior["outcomes"]:
            outcome["coefficients"][0]["mean"] = level

    rewrite(folder, "prior.json", move)
    rewrite(folder, "manifest.json", lambda manifest: manifest.update(version=number))


@pytest.fixture
def served(bundle, tmp_path) -> Path:
    folder = Path(shutil.copytree(bundle, tmp_path / "served"))
    version(folder, "1")
    return folder


@pytest.fixture
def watched(served) -> tuple[Seat, Succession]:
    settings = Settings(model=str(served))
    seen = fingerprint(settings.model, settings.store)
    seat = Seat(assemble(settings))
    assert seat.version == "1"
    return seat, Succession(seat, settings.model, settings.store, Measures(), seen=seen)


def look(watch: Succession) -> bool:
    """Look as often as it takes for a change to be acted on."""
    return watch.look() or watch.look()


def test_nothing_happens_while_the_settings_name_the_same_model(watched, monkeypatch):
    monkeypatch.setattr(succession, "load", lambda *_: pytest.fail("loaded"))
    seat, watch = watched
    before = seat.application
    assert not any(watch.look() for _ in range(5))
    assert seat.application is before


def test_a_new_version_takes_the_place_of_the_old_one(watched, served):
    seat, watch = watched
    version(served, "2", level=1.0)
    assert look(watch)
    assert seat.version == "2"
    assert seat.application.refused is None


def test_a_change_is_taken_when_two_looks_agree_on_it(watched, served):
    seat, watch = watched
    version(served, "2")
    assert not watch.look()
    version(served, "3")
    assert not watch.look()
    assert watch.look()
    assert seat.version == "3"


def corrupt(folder: Path) -> None:
    prior = folder / "prior.json"
    prior.write_text(prior.read_text().replace("judgement", "published", 1))


def foreign(folder: Path) -> None:
    rewrite(folder, "manifest.json", lambda m: m.update(name="another", version="9"))


def newer(folder: Path) -> None:
    rewrite(folder, "manifest.json", lambda m: m.update(spec_digest="f" * 64, version="9"))


def later_format(folder: Path) -> None:
    rewrite(folder, "manifest.json", lambda m: m.update(format=99))


def unreadable(folder: Path) -> None:
    (folder / "support.json").write_text("{")
    seal(folder)


def unsealed(folder: Path) -> None:
    (folder / "checksums.json").unlink()


def unsound(folder: Path) -> None:
    # JSON of Python and of pydantic both know it.
    version(folder, "9", level=float("nan"))


def gone(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (corrupt, "checksum"),
        (foreign, "foreign"),
        (newer, "digest"),
        (later_format, "format"),
        (unreadable, "malformed"),
        (unsealed, "missing"),
        (unsound, "smoke"),
        (gone, "no_model"),
    ],
)
async def test_a_model_that_must_not_be_served_is_named_and_the_old_one_answers_on(watched, served, front, spoil, code):
    seat, watch = watched
    spoil(served)
    assert not look(watch)
    assert seat.version == "1"
    async with front(seat.application).client() as client:
        answer = await client.get("/readyz")
        assert answer.status_code == 200
        assert answer.json()["model"]["version"] == "1"
        refused = answer.json()["refused"]
        assert refused["code"] == code and refused["reason"]
        assert str(served.parent) not in refused["reason"]
        assert (await client.post("/predict", json={"patient": {"age_years": 60}})).status_code == 200
    assert f'code="{code}"' in watch.measures.exposition().decode()


def test_after_a_refusal_the_next_sound_model_is_taken_and_nothing_is_refused_any_more(watched, served):
    seat, watch = watched
    corrupt(served)
    look(watch)
    assert seat.application.refused is not None
    version(served, "2")
    assert look(watch)
    assert (seat.version, seat.application.refused) == ("2", None)


def test_a_refused_model_is_tried_again_only_after_a_while(watched, served, monkeypatch):
    _, watch = watched
    tried = []

    def fail(*arguments: Any) -> Application:
        tried.append(arguments)
        return real(*arguments)

    real = succession.load
    monkeypatch.setattr(succession, "load", fail)
    corrupt(served)
    for _ in range(5):
        watch.look()
    assert len(tried) == 1
    monkeypatch.setattr(succession, "AGAIN", 0.0)
    watch.look()
    assert len(tried) == 2


def test_a_service_that_started_without_a_model_gets_one(served, bundle):
    shutil.rmtree(served)
    settings = Settings(model=str(served))
    seen = fingerprint(settings.model, settings.store)
    seat = Seat(assemble(settings))
    assert seat.version is None
    watch = Succession(seat, settings.model, settings.store, Measures(), seen=seen)
    shutil.copytree(bundle, served)
    version(served, "1")
    assert look(watch)
    assert seat.application.ready().scorer.model_card["version"] == "1"


def test_a_request_keeps_the_model_it_began_with_and_the_old_one_is_freed_afterwards(watched, served):
    seat, watch = watched
    began_with = seat.application.ready()
    old = weakref.ref(seat.application.scorer)
    version(served, "2", level=1.0)
    assert look(watch)
    answer = began_with.scorer.answer({"patient": {}, "regimens": None, "profile": "eu"})
    assert answer["model"]["version"] == "1"
    del began_with
    try:
        watch.look()  # takes what is left over
        assert old() is None
    finally:
        gc.unfreeze()
        gc.set_threshold(700, 10, 10)


async def test_answers_under_way_while_models_change_never_mix_two_of_them(watched, served, front):
    """Two models with known numbers alternate; what an answer says it is must be what its numbers are."""
    seat, watch = watched
    made = front(seat.application)
    watch.seat = made.routes
    levels = {"1": -0.5, "2": 1.0}
    known = {}
    async with made.client() as client:
        swapping = threading.Event()

        def swap() -> None:
            for number in ["2", "1"] * 3:
                version(served, number, levels[number])
                assert look(watch)
            swapping.set()

        thread = threading.Thread(target=swap)
        thread.start()
        seen = set()
        while not swapping.is_set() and thread.is_alive():
            answer = await client.post("/predict", json={"patient": {"age_years": 60}})
            assert answer.status_code == 200
            body = answer.json()
            number = body["model"]["version"]
            numbers = json.dumps([r["outcomes"] for r in body["regimens"]])
            assert known.setdefault(number, numbers) == numbers
            seen.add(number)
        thread.join()
    assert swapping.is_set()
    assert seen == {"1", "2"}
    assert known["1"] != known["2"]
