"""Takes the pictures of the guide anew: ``python -m tests.service.page.screenshots`` in the project's folder."""

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Browser, expect

from earmark.model.inside import inside_file
from tests.service.page.chromium import chromium
from tests.service.page.visit import Visit
from tests.service.process import Running, serving

IMAGES = Path(__file__).parents[3] / "docs" / "images"
COLOURS = 200
LIVE_SECONDS = 27
WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 1010}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True}


def main() -> None:
    """Write a picture of a recording, of live sound in the dark, and of a telephone."""
    with TemporaryDirectory() as folder, serving([inside_file()]) as service:
        example = Path(folder) / "example.wav"
        example.write_bytes(httpx.get(f"{service.url}/static/example.wav", timeout=60).content)
        with chromium(example) as browser:
            recording(browser, service, "page.png", WIDE)
            live(browser, service, "page-live.png", {**WIDE, "color_scheme": "dark"})
            recording(browser, service, "page-phone.png", PHONE)


def opened(browser: Browser, service: Running, options: dict[str, Any]) -> Visit:
    """Return the page, ready."""
    visit = Visit(browser.new_context(**options).new_page(), service.url)
    visit.open()
    return visit


def recording(browser: Browser, service: Running, name: str, options: dict[str, Any]) -> None:
    """Take a picture of the example with an event that plays."""
    visit = opened(browser, service, options)
    visit.page.locator("#example").click()
    expect(visit.page.locator("#facts")).to_contain_text("heard by")
    if "is_mobile" in options:
        visit.page.locator(".time").scroll_into_view_if_needed()
        visit.page.locator(".time").evaluate("(part) => part.scrollIntoView()")
    visit.event("clock alarm").last.click()
    visit.until(lambda: visit.playing_at() > 22)
    visit.page.locator("#play").click()
    save(visit, name)


def live(browser: Browser, service: Running, name: str, options: dict[str, Any]) -> None:
    """Take a picture of live sound."""
    visit = opened(browser, service, options)
    visit.page.locator("#listen").click()
    elapsed = visit.page.locator("#elapsed")
    visit.until(lambda: float(elapsed.text_content() or 0) > LIVE_SECONDS)
    save(visit, name)
    visit.page.locator("#listen").click()


def save(visit: Visit, name: str) -> None:
    """Write what is seen, in fewer colours than there are."""
    visit.page.mouse.move(0, 0)
    visit.page.wait_for_timeout(500)
    picture = Image.open(io.BytesIO(visit.page.screenshot()))
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(IMAGES / name, optimize=True)
    print(f"{name}: {(IMAGES / name).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
