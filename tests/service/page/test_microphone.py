"""The microphone on the page: a recording, and live sound that is scored as it comes."""

from collections.abc import Callable
from pathlib import Path

import soundfile
from playwright.sync_api import expect

from tests.service.page.conftest import KNOWN
from tests.service.page.visit import Visit
from tests.service.process import Running

NAMES = [name.replace("_", " ") for name in KNOWN]


def wait_seconds(visit: Visit, seconds: float) -> None:
    """Return once the microphone has been open for so long."""
    elapsed = visit.page.locator("#elapsed")
    visit.until(lambda: float(elapsed.text_content() or 0) >= seconds)


def test_a_recording_of_the_microphone_is_heard(visit: Visit, recording: Path) -> None:
    visit.page.get_by_role("button", name="Record").click()
    expect(visit.page.get_by_role("button", name="Stop recording")).to_be_visible()
    wait_seconds(visit, soundfile.info(recording).duration)
    assert visit.page.locator("#level").evaluate("(bar) => bar.style.width") != ""
    visit.page.get_by_role("button", name="Stop recording").click()
    expect(visit.page.locator("#facts")).to_contain_text("heard by everyday")
    assert {row[2] for row in visit.listed()} >= set(NAMES)
    visit.event(NAMES[0]).first.click()
    expect(visit.page.locator("#play span")).to_have_text("Pause")


def test_live_sound_is_scored_as_it_comes(visit: Visit, service: Running) -> None:
    visit.page.get_by_role("button", name="Listen live").click()
    for name in NAMES:
        expect(visit.event(name).first).to_be_visible()
    expect(visit.page.locator("#tags-title")).to_have_text("Right now")
    assert visit.page.get_by_role("button", name="Stop listening").is_visible(), "it is still listening"
    # The sliders work on what was heard so far and on what is to come.
    visit.slide(visit.page.get_by_role("slider", name=f"Threshold of {NAMES[0]}"), 1)
    expect(visit.event(NAMES[0])).to_have_count(0)
    service.wait_for("earmark_listeners", 1)
    visit.page.get_by_role("button", name="Stop listening").click()
    service.wait_for("earmark_listeners", 0)
    expect(visit.page.locator("#facts")).to_contain_text("heard by everyday")
    expect(visit.event(NAMES[1]).first).to_be_visible()


def test_live_events_are_told_to_a_screen_reader(visit: Visit) -> None:
    visit.page.get_by_role("button", name="Listen live").click()
    expect(visit.page.locator("#status")).to_contain_text(f"{NAMES[0]} at")
    visit.page.get_by_role("button", name="Stop listening").click()
    expect(visit.page.locator("#status")).to_contain_text("Most of all")


def test_live_sound_scrolls_and_its_oldest_part_goes(visit: Visit) -> None:
    """Hours of live sound take no more room than minutes: what is older than that is let go of."""
    program = """
    async () => {
      const [{ Timeline }, { Sound }, { Samples }] = await Promise.all(
        ["timeline", "sound", "samples"].map((name) => import(`/static/${name}.js`)));
      const timeline = new Timeline([{ label: "a", id: "a" }, { label: "b", id: "b" }]);
      const [sound, samples] = [new Sound(1000), new Samples()];
      for (let second = 0; second < 500; second += 1) {
        timeline.append([second, second + 1], [[second / 1000, 0.5 - second / 1000]], [second / 1000]);
        const block = new Float32Array(1000).fill(second / 1000);
        sound.append(block);
        samples.append(block);
      }
      timeline.dropBefore(400);
      sound.dropBefore(400);
      samples.dropBefore(400_000);
      const out = new Float32Array(2);
      samples.read(399_999, out);
      return {
        frames: timeline.frames, first: timeline.edges[0], score: timeline.score(0, 0), peak: timeline.peaks[1],
        loud: sound.peaks.between(450, 451), out: [...out], blocks: samples.blocks.length,
      };
    }
    """
    kept = visit.evaluate(program)
    assert (kept["frames"], kept["first"], kept["blocks"]) == (100, 400, 100)
    assert [round(value, 3) for value in (kept["score"], kept["peak"], *kept["out"])] == [0.4, 0.1, 0.0, 0.4]
    assert round(kept["loud"][0], 2) == 0.45


def test_a_microphone_that_is_refused_is_told_beside_its_button(
    visit_of: Callable[..., Visit], service: Running
) -> None:
    visit = visit_of(service)
    visit.page.add_init_script(
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'));"
    )
    visit.open()
    visit.page.get_by_role("button", name="Record").click()
    expect(visit.page.locator("#record-error")).to_contain_text("may not use the microphone")
    expect(visit.page.locator("#listen-error")).to_be_empty()
    expect(visit.page.get_by_role("button", name="Record")).to_be_enabled()
