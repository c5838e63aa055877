"""The browser: Chromium as the system has it, with a microphone that hears a file."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

_QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


def chromium_path() -> str | None:
    """Return where Chromium is: EARMARK_CHROMIUM, else on the path; None if it is not there."""
    return os.environ.get("EARMARK_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def chromium(heard: Path) -> Iterator[Browser]:
    """Start Chromium, with a microphone that hears a WAV file again and again."""
    microphone = (
        *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
        f"--use-file-for-fake-audio-capture={heard}",
    )
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium_path(), args=[*_QUIET, *microphone])
        yield started
        started.close()
