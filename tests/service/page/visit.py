"""A visit of the page in a real browser: what a person does there, and what the browser saw meanwhile."""

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Locator, Page, ViewportSize, expect

SECONDS = 1000
PATIENCE = 60 * SECONDS  # on a slow machine; what is there sooner is not waited for

VIEWPORT: ViewportSize = {"width": 1280, "height": 900}

_DROP = """
async ({name, type, text}) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, {type}));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    window.dispatchEvent(new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
  }
}
"""


@dataclass
class Visit:
    """One page in a browser.

    Parameters
    ----------
    page : Page
        Of Playwright.
    url : str
        Of the service.
    """

    page: Page
    url: str
    addresses: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        self.page.on("request", lambda request: self.addresses.append(request.url))
        self.page.on("websocket", lambda socket: self.addresses.append(socket.url))
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        # That an answer had another status than 200 is no fault of the page: what it makes of it is tested.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def start_over(self, url: str) -> None:
        """Make the page that another test had ready for the next, whatever was set: no more than a load is missing."""
        self.page.unroute_all()
        self.page.set_viewport_size(VIEWPORT)
        self.page.emulate_media(color_scheme="null")
        self.url = url
        self.addresses.clear()
        self.complaints.clear()

    def open(self) -> None:
        """Go to the page, and wait until it knows its models."""
        self.page.goto(self.url)
        expect(self.page.locator("#model")).to_be_enabled()

    def drop(self, file: Path, kind: str = "audio/wav") -> None:
        """Drop a file on the page."""
        text = base64.b64encode(file.read_bytes()).decode()
        self.page.evaluate(_DROP, {"name": file.name, "type": kind, "text": text})

    def hear(self, file: Path, kind: str = "audio/wav") -> None:
        """Drop a file, and wait until it is shown what is heard in it."""
        self.drop(file, kind)
        expect(self.page.locator("#facts")).to_contain_text("heard by")
        expect(self.page.locator("#name")).to_have_text(file.name)

    def events(self) -> Locator:
        """Return the events in the lanes."""
        return self.page.locator(".event")

    def event(self, label: str) -> Locator:
        """Return the events of a label in the lanes."""
        return self.page.locator(f".lane[aria-label='{label}'] .event")

    def listed(self) -> list[tuple[float, float, str, float]]:
        """Return the rows of the table of events: from, to, label, score."""
        expect(self.page.locator("#events")).to_have_attribute("aria-busy", "false")
        rows = [row.locator("td").all_text_contents() for row in self.page.locator("#events tbody tr").all()]
        return [(float(onset), float(offset), label, float(score)) for onset, offset, label, score in rows]

    def slide(self, slider: Locator, value: float) -> None:
        """Move a slider as a person would: the page hears of it."""
        slider.evaluate(
            """(slider, value) => {
                slider.value = value;
                slider.dispatchEvent(new Event("input", {bubbles: true}));
                return new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
            }""",
            value,
        )

    def box(self, selector: str) -> dict[str, float]:
        """Return where an element is: x, y, width, height."""
        box = self.page.locator(selector).bounding_box()
        assert box is not None, f"{selector} is not seen"
        return {"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"]}

    def playing_at(self) -> float:
        """Return where in the recording the player is."""
        return float(self.page.evaluate("() => document.querySelector('audio').currentTime"))

    def is_playing(self) -> bool:
        """Whether something can be heard."""
        return bool(self.page.evaluate("() => !document.querySelector('audio').paused"))

    def download(self, name: str) -> tuple[str, str]:
        """Press a button for a download; return the name of the file and its text."""
        with self.page.expect_download() as expected:
            self.page.get_by_role("button", name=name, exact=True).click()
        path = expected.value.path()
        return expected.value.suggested_filename, Path(path).read_text(encoding="utf-8")

    def check(self) -> None:
        """See that the browser asked nobody but the service, and had nothing to complain of."""
        assert not self.complaints
        own = urlsplit(self.url).netloc
        elsewhere = [url for url in self.addresses if not url.startswith("blob:") and urlsplit(url).netloc != own]
        assert not elsewhere, json.dumps(elsewhere)

    def until(self, holds: Callable[[], object]) -> None:
        """Return once something holds that no locator can wait for."""
        deadline = time.monotonic() + PATIENCE / SECONDS
        while not holds():
            assert time.monotonic() < deadline, "it never came to hold"
            self.page.wait_for_timeout(20)

    def evaluate(self, program: str, given: Any = None) -> Any:
        """Run a function in the page."""
        return self.page.evaluate(program, given)
