"""Who may see the page and how: tokens, errors in words, keyboards, phones, dark rooms, a strict policy."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.service.page.visit import Visit
from tests.service.process import Running, serving

TOKEN = "a-long-random-word"


@pytest.fixture(scope="module")
def guarded(tiny_model: Path) -> Iterator[Running]:
    """Run a service that wants a token, takes little, and bears no listener."""
    with serving([tiny_model], token=TOKEN, limits={"upload_bytes": 600_000, "listeners": 0}) as running:
        yield running


def test_a_token_is_asked_for_and_a_wrong_one_refused(
    visit_of: Callable[..., Visit], guarded: Running, recording: Path
) -> None:
    visit = visit_of(guarded)
    visit.page.goto(guarded.url)
    field = visit.page.get_by_label("This server needs a token")
    expect(field).to_be_focused()
    expect(visit.page.locator("#token-error")).to_be_empty()
    field.fill("wrong")
    field.press("Enter")
    expect(visit.page.locator("#token-error")).to_contain_text("not that of this service")
    expect(field).to_be_focused()
    field.fill(TOKEN)
    visit.page.get_by_role("button", name="Continue").click()
    expect(visit.page.locator("#model")).to_be_enabled()
    expect(field).to_be_hidden()
    expect(visit.page.get_by_role("button", name="Choose a file")).to_be_focused()
    expect(visit.page.locator("#token-status")).to_have_text("The token is accepted.")
    visit.hear(recording)
    visit.page.reload()  # it is kept for as long as the tab is open
    expect(visit.page.locator("#model")).to_be_enabled()
    assert TOKEN not in " ".join(visit.addresses)


def test_the_form_for_the_token_keeps_its_distance(visit_again: Callable[..., Visit], guarded: Running) -> None:
    visit = visit_again(guarded)
    visit.page.set_viewport_size({"width": 380, "height": 800})
    visit.page.goto(guarded.url)
    field = visit.page.get_by_label("This server needs a token")
    expect(field).to_be_focused()
    form, own, help_ = (visit.box(selector) for selector in ("#token-form", "#token", "#token-help"))
    assert (form["x"], form["width"]) == (12, 380 - 2 * 12)
    ring = field.evaluate("(field) => parseFloat(getComputedStyle(field).outlineWidth) * 2")
    assert own["y"] + own["height"] + ring <= help_["y"], "the ring of the focus lies on the text"


@pytest.fixture
def let_in(visit_again: Callable[..., Visit], guarded: Running) -> Visit:
    """Return the page of `guarded` in a tab in which the token was given before."""
    visit = visit_again(guarded)
    visit.page.goto(f"{guarded.url}/static/icon.svg")
    visit.evaluate("(token) => sessionStorage.setItem('earmark-token', token)", TOKEN)
    visit.open()
    return visit


def test_a_stream_that_is_refused_is_told_beside_its_button(let_in: Visit) -> None:
    let_in.page.get_by_role("button", name="Listen live").click()
    expect(let_in.page.locator("#listen-error")).to_contain_text("0 streams are open")
    expect(let_in.page.locator("#choose-error")).to_be_empty()


def test_too_large_a_file_is_refused_before_it_is_sent(let_in: Visit, tmp_path: Path) -> None:
    large = tmp_path / "large.wav"
    large.write_bytes(bytes(2 * 2**20))
    let_in.drop(large)
    expect(let_in.page.locator("#choose-error")).to_contain_text(
        "large.wav: It has 2 MiB, and this server takes 0.6 MiB."
    )
    assert not any("/v1/timeline" in address for address in let_in.addresses)


def test_an_empty_file_is_refused_before_it_is_sent(visit: Visit, tmp_path: Path) -> None:
    empty = tmp_path / "empty.wav"
    empty.touch()
    visit.drop(empty)
    expect(visit.page.locator("#choose-error")).to_have_text("empty.wav: The file is empty. Choose another one.")
    assert not any("/v1/timeline" in address for address in visit.addresses)


def test_what_is_no_sound_is_told_beside_the_button(visit: Visit, tmp_path: Path, recording: Path) -> None:
    text = tmp_path / "letter.txt"
    text.write_text("Dear reader, there is no sound in here.")
    visit.drop(text, "text/plain")
    error = visit.page.locator("#choose-error")
    expect(error).to_contain_text("letter.txt: ")
    expect(error).to_contain_text("Send WAV, FLAC")
    expect(error).to_have_attribute("role", "alert")
    assert visit.page.get_by_role("button", name="Choose a file").get_attribute("aria-describedby") == "choose-error"
    visit.hear(recording)
    expect(error).to_be_empty()


def test_what_was_shown_stays_when_another_file_is_bad(visit: Visit, tmp_path: Path, recording: Path) -> None:
    visit.hear(recording)
    events = visit.listed()
    text = tmp_path / "letter.wav"
    text.write_text("There is no sound in here.")
    visit.drop(text)
    expect(visit.page.locator("#choose-error")).to_contain_text("letter.wav: ")
    expect(visit.page.locator("#name")).to_have_text(recording.name)
    assert visit.listed() == events
    visit.event("car horn").first.click()
    expect(visit.page.locator("#play span")).to_have_text("Pause")
    visit.page.locator("#model").select_option("tiny")  # it hears what is shown, not what was refused
    expect(visit.page.locator("#facts")).to_contain_text("heard by tiny")
    expect(visit.page.locator("#name")).to_have_text(recording.name)
    expect(visit.page.locator("#choose-error")).to_be_empty()


def test_an_error_ends_all_that_is_sent(visit: Visit, tmp_path: Path) -> None:
    visit.page.route("**/v1/classify*", lambda route: None)  # it is never answered
    text = tmp_path / "letter.wav"
    text.write_text("There is no sound in here.")
    with visit.page.expect_event("requestfailed", lambda request: "/v1/classify" in request.url):
        visit.drop(text)
        expect(visit.page.locator("#choose-error")).to_contain_text("letter.wav: ")
    expect(visit.page.locator("#busy")).to_be_hidden()


def test_what_is_told_of_an_upload_after_an_error_is_not_shown(visit: Visit) -> None:
    """The other request may tell how far it is when the first has failed: the busy row would stay for ever."""
    program = """
    async () => {
      const { Analysis } = await import("/static/analysis.js");
      const [told, watches] = [[], {}];
      const failing = { timeline: Promise.reject(new Error("no sound")), classify: new Promise(() => {}) };
      const server = { ask: (task, file, parameters, watch) => ((watches[task] = watch), failing[task]) };
      const recording = { file: new File(["text"], "letter.wav"), notes: [], isCaptured: false };
      const analysis = new Analysis(server, recording, { busy: (text) => told.push(text) });
      const message = await analysis.ask("everyday").catch((error) => error.message);
      const before = told.length;
      watches.classify.sent(4);
      return [message, told.length - before, watches.classify.signal.aborted];
    }
    """
    assert visit.evaluate(program) == ["no sound", 0, True]


def test_a_server_that_is_gone_is_told_in_words(
    visit_again: Callable[..., Visit], tiny_model: Path, recording: Path
) -> None:
    with serving([tiny_model]) as running:
        visit = visit_again(running)
        visit.open()
    visit.drop(recording)
    expect(visit.page.locator("#choose-error")).to_contain_text("The server does not answer.")


def test_a_long_upload_shows_how_far_it_is_and_can_be_stopped(visit: Visit, recording: Path) -> None:
    devtools = visit.page.context.new_cdp_session(visit.page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 20_000}
    devtools.send("Network.enable")
    devtools.send("Network.emulateNetworkConditions", slow)
    visit.drop(recording)
    megabytes = 2 * recording.stat().st_size / 1e6
    expect(visit.page.locator("#busy-text")).to_contain_text("Sending two sounds.wav: ")
    expect(visit.page.locator("#busy-text")).to_contain_text(f" of {megabytes:.1f} MB (the file is sent twice)")
    expect(visit.page.get_by_role("progressbar")).to_be_visible()
    visit.page.get_by_role("button", name="Stop", exact=True).click()
    expect(visit.page.locator("#busy")).to_be_hidden()
    devtools.detach()  # and the network is fast again


def test_the_keyboard_is_enough(visit: Visit, recording: Path) -> None:
    keys = visit.page.keyboard
    with visit.page.expect_file_chooser() as chooser:  # from the start: Chromium is not told at once that it is awaited
        keys.press("Tab")
        expect(visit.page.get_by_role("link", name="Skip to the recording")).to_be_focused()
        keys.press("Enter")
        expect(visit.page).to_have_url(f"{visit.url}/#source")
        keys.press("Tab")
        expect(visit.page.get_by_role("button", name="Choose a file")).to_be_focused()
        keys.press("Enter")
    chooser.value.set_files(recording)
    expect(visit.page.locator("#facts")).to_contain_text("heard by")
    visit.page.locator("#skip").focus()
    expect(visit.page.locator("#skip")).to_have_text("Skip to the result")
    keys.press("Enter")
    keys.press("Tab")
    expect(visit.page.locator("#tags button").first).to_be_focused()
    tab_to(visit, "#play")
    keys.press("Enter")
    expect(visit.page.locator("#play span")).to_have_text("Pause")
    keys.press("Enter")
    tab_to(visit, ".lane input")
    lane = visit.page.locator(".lane:has(input:focus)")
    name = lane.get_attribute("aria-label")
    keys.press("Home")
    expect(lane.locator(".value")).to_have_text("0.00")
    expect(visit.event(str(name))).to_have_count(1)
    tab_to(visit, ".event")
    first = visit.page.locator(".event:focus").get_attribute("aria-label")
    keys.press("ArrowDown")
    assert visit.page.locator(".event:focus").get_attribute("aria-label") != first
    outline = visit.page.locator(".event:focus").evaluate("(event) => getComputedStyle(event).outlineStyle")
    assert outline == "solid"
    keys.press("Enter")
    expect(visit.page.locator(".event.playing:focus")).to_have_count(1)
    keys.press("+")
    expect(visit.page.get_by_role("button", name="Fit")).to_be_enabled()
    keys.press("0")
    expect(visit.page.get_by_role("button", name="Fit")).to_be_disabled()
    visit.page.locator("[data-part=waveform]").focus()
    keys.press("Tab")
    expect(visit.page.get_by_role("link", name="Skip the lanes")).to_be_focused()
    keys.press("Enter")
    keys.press("Tab")
    expect(visit.page.get_by_label("Threshold of all labels")).to_be_focused()


def tab_to(visit: Visit, selector: str) -> None:
    """Press the tabulator key until an element has the focus, as often as there are places to stop at the most."""
    for _ in range(80):
        visit.page.keyboard.press("Tab")
        if visit.page.locator(f"{selector}:focus").count():
            return
    pytest.fail(f"the tabulator key does not lead to {selector}")


@pytest.mark.parametrize("width", [1280, 390])
def test_all_that_can_be_used_has_a_name(visit: Visit, recording: Path, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 800})
    visit.hear(recording)
    devtools = visit.page.context.new_cdp_session(visit.page)
    nodes = devtools.send("Accessibility.getFullAXTree")["nodes"]
    used = {
        "button",
        "slider",
        "textbox",
        "combobox",
        "checkbox",
        "link",
        "listbox",
        "region",
        "group",
        "progressbar",
        "table",
    }
    roles = [node["role"]["value"] for node in nodes if not node["ignored"]]
    assert used - {"progressbar", "listbox", "textbox"} <= set(roles)
    nameless = [
        node["role"]["value"]
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in used and not node.get("name", {}).get("value")
    ]
    assert not nameless


def test_nothing_is_wider_than_a_narrow_screen(
    visit_of: Callable[..., Visit], service: Running, recording: Path
) -> None:
    visit = visit_of(service, viewport={"width": 320, "height": 700}, has_touch=True, is_mobile=True)
    visit.open()
    overflow = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert visit.evaluate(overflow) == 0
    visit.hear(recording)
    visit.page.get_by_text("More", exact=True).click()
    for width in (320, 360, 390, 768):
        visit.page.set_viewport_size({"width": width, "height": 700})
        assert visit.evaluate(overflow) == 0, f"{width} pixels"
    visit.event("car horn").first.tap()
    expect(visit.page.locator(".event.playing")).to_have_count(1)


@pytest.mark.parametrize("width", [1280, 390])
def test_the_lanes_keep_their_scale_on_a_page_that_is_scrolled(visit: Visit, recording: Path, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 500})
    visit.hear(recording)
    visit.page.get_by_role("button", name="Zoom in").click()  # the buttons have a second row now on a telephone
    lane = visit.page.locator(".lanes .lane").nth(2)
    lane.evaluate("(lane) => lane.scrollIntoView({block: 'start'})")
    player, ticks = visit.box(".player"), visit.box(".ticks")
    assert player["y"] == 0
    assert ticks["y"] == pytest.approx(player["height"], abs=1)
    on_top = "([x, y]) => document.elementFromPoint(x, y).closest('.ticks') !== null"
    middle = [ticks["x"] + ticks["width"] / 2, ticks["y"] + ticks["height"] / 2]
    assert visit.evaluate(on_top, middle)
    top = float(lane.evaluate("(lane) => lane.getBoundingClientRect().y"))
    assert top >= ticks["y"] + ticks["height"] - 1, "what is scrolled to lies below the scale"


def test_dark_and_light_follow_the_system(visit_again: Callable[..., Visit], service: Running, recording: Path) -> None:
    visit = visit_again(service)
    visit.page.emulate_media(color_scheme="dark")
    visit.open()
    visit.hear(recording)
    corner = """() => {
        const canvas = document.querySelector("[data-part=spectrogram] canvas");
        const [red, green, blue, alpha] = canvas.getContext("2d").getImageData(3, 3, 1, 1).data;
        return alpha ? (red + green + blue) / 3 : null;
    }"""
    paper = "() => getComputedStyle(document.body).backgroundColor"

    def quiet_sound() -> float:
        visit.until(lambda: visit.evaluate(corner) is not None)
        return float(visit.evaluate(corner))

    assert (visit.evaluate(paper), quiet_sound() < 60) == ("rgb(20, 24, 27)", True)
    visit.page.emulate_media(color_scheme="light")
    assert visit.evaluate(paper) == "rgb(255, 255, 255)"
    visit.until(lambda: quiet_sound() > 200)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_steps_of_loudness_are_steps_of_lightness(visit: Visit, theme: str) -> None:
    scale = visit.evaluate("async (theme) => [...(await import('/static/colours.js')).scale(theme)]", theme)
    linear = [(value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4) for value in scale]
    luminance = [
        0.2126 * red + 0.7152 * green + 0.0722 * blue
        for red, green, blue in zip(linear[::3], linear[1::3], linear[2::3], strict=True)
    ]
    steps = [second - first for first, second in zip(luminance, luminance[16:], strict=False)]
    assert all(step > 0 for step in steps) if theme == "dark" else all(step < 0 for step in steps)


def test_the_description_of_the_interface_is_drawn(visit_again: Callable[..., Visit], service: Running) -> None:
    visit = visit_again(service)
    visit.page.goto(f"{service.url}/docs")
    expect(visit.page.locator(".opblock-summary-path", has_text="/v1/classify")).to_be_visible()
    assert not visit.page.locator(".errors-wrapper").count()


def test_files_of_the_page_are_named_by_their_content_and_nothing_else_is_served(service: Running) -> None:
    with httpx.Client(base_url=service.url, timeout=60) as client:
        first = client.get("/static/app.js")
        assert first.headers["content-type"] == "text/javascript; charset=utf-8"
        again = client.get("/static/app.js", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        for path in ("/static/", "/static/nothing.js", "/static/..%2fpages.py", "/static/%2e%2e/pages.py"):
            assert client.get(path).status_code == 404
        example = client.get("/static/example.wav")
        assert (example.headers["content-type"], example.content[:4]) == ("audio/wav", b"RIFF")


def test_the_example_is_heard(visit: Visit) -> None:
    visit.page.get_by_role("button", name="Try an example").click()
    expect(visit.page.locator("#name")).to_have_text("example.wav")
    expect(visit.page.locator("#facts")).to_contain_text("heard by")
    assert visit.events().count() > 5


def test_no_file_of_the_page_speaks_of_another_place(service: Running) -> None:
    """The page loads nothing from elsewhere, and has nothing inline that the policy would have to allow."""
    from earmark.service.pages import _assets

    own: dict[str, Any] = {name: asset for name, asset in _assets().items() if not name.startswith("swagger")}
    for name, asset in own.items():
        text = asset.content.decode()
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", ""), name
        assert "https://" not in text, name
        assert "innerHTML" not in text, name
