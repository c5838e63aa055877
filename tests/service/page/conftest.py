"""A real browser, a real service, and sounds whose truth is known."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser

from earmark.audio.synthesis import SAMPLE_RATE_HZ, SOUNDS
from tests.service.page.chromium import chromium, chromium_path
from tests.service.page.visit import VIEWPORT, Visit
from tests.service.process import Running, serving

KNOWN = ("clock_alarm", "car_horn")
"""What sounds in the recording, in this order."""
SECONDS_EACH, PAUSE_SECONDS = 1.8, 0.4


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a WAV file with the sounds of `KNOWN`, one after the other."""
    rng = np.random.default_rng(5)
    pause = 1e-4 * rng.standard_normal(round(PAUSE_SECONDS * SAMPLE_RATE_HZ))
    waves = [SOUNDS[label](rng, SECONDS_EACH) for label in KNOWN]
    parts = [pause, *(part for wave in waves for part in (0.5 * wave / np.abs(wave).max(), pause))]
    path = tmp_path_factory.mktemp("recording") / "two sounds.wav"
    soundfile.write(path, np.concatenate(parts), SAMPLE_RATE_HZ, subtype="PCM_16")
    return path


@pytest.fixture(scope="session")
def service(everyday: Path, tiny_models: list[Path]) -> Iterator[Running]:
    """Run the service with the model inside, one without novelty and one with it."""
    with serving([everyday, *tiny_models]) as running:
        yield running


@pytest.fixture(scope="session")
def browser(recording: Path) -> Iterator[Browser]:
    """Start Chromium, with a microphone that hears the recording again and again."""
    if chromium_path() is None:
        pytest.skip("no Chromium on the path; EARMARK_CHROMIUM may say where it is")
    with chromium(recording) as started:
        yield started


@pytest.fixture
def visit_of(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Return what opens a page in a fresh profile; at the end no page may have anything to complain of."""
    visits: list[Visit] = []

    def open_page(service: Running, **options: Any) -> Visit:
        visits.append(_new(browser, service.url, **options))
        return visits[-1]

    yield open_page
    for visit in visits:
        visit.page.context.close()
    for visit in visits:
        visit.check()


def _new(browser: Browser, url: str, **options: Any) -> Visit:
    return Visit(browser.new_context(**{"viewport": VIEWPORT, **options}).new_page(), url)


@pytest.fixture(scope="session")
def tab(browser: Browser) -> Iterator[Visit]:
    """Return a page that tests share, one after the other: a fresh profile for each takes seconds."""
    visit = _new(browser, "about:blank")
    yield visit
    visit.page.context.close()


@pytest.fixture
def visit_again(tab: Visit) -> Iterator[Callable[[Running], Visit]]:
    """Return what makes the shared page ready to be opened; it may have nothing to complain of at the end."""

    def ready(service: Running) -> Visit:
        tab.start_over(service.url)
        return tab

    yield ready
    tab.page.evaluate("() => sessionStorage.clear()")  # of this service, whose address the next may have
    tab.page.goto("about:blank")  # by when all is known that it has asked for
    tab.check()


@pytest.fixture
def visit(visit_again: Callable[[Running], Visit], service: Running) -> Visit:
    """Return the page of the service, loaded anew and ready."""
    made = visit_again(service)
    made.open()
    return made
