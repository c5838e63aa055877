"""The microphone on the page: a recording, and live sound that is scored as it comes."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from playwright.sync_api import expect

from tests.service.page.conftest import KNOWN
from tests.service.page.visit import Visit
from tests.service.process import Running, serving

NAMES = [name.replace("_", " ") for name in KNOWN]
LIVE_NAME, RECORDING_NAME = (
    re.compile(rf"^{kind} \d{{4}}-\d\d-\d\d \d\d-\d\d-\d\d\.wav$") for kind in ("live", "recording")
)


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
    expect(visit.page.get_by_role("region", name="Listening live")).to_be_visible()
    assert visit.page.get_by_role("button", name="Stop listening").is_visible(), "it is still listening"
    # The sliders work on what was heard so far and on what is to come.
    visit.slide(visit.page.get_by_role("slider", name=f"Threshold of {NAMES[0]}"), 1)
    expect(visit.event(NAMES[0])).to_have_count(0)
    service.wait_for("earmark_listeners", 1)
    visit.page.get_by_role("button", name="Stop listening").click()
    service.wait_for("earmark_listeners", 0)
    expect(visit.page.locator("#facts")).to_contain_text("heard by everyday")
    expect(visit.event(NAMES[1]).first).to_be_visible()


def test_what_was_heard_live_stays_when_the_service_ends(
    visit_again: Callable[..., Visit], everyday: Path, tmp_path: Path
) -> None:
    with serving([everyday]) as running:
        visit = visit_again(running)
        visit.open()
        visit.page.get_by_role("button", name="Listen live").click()
        expect(visit.event(NAMES[0]).first).to_be_visible()
        running.process.terminate()
        error = visit.page.locator("#listen-error")
        expect(error).to_have_text(
            "The service ended the stream: it was stopped or restarted. What was heard until then is kept."
        )
    expect(visit.page.locator("#busy")).to_be_hidden()
    expect(visit.page.locator("#name")).to_have_text(LIVE_NAME)
    expect(visit.event(NAMES[0]).first).to_be_visible()
    expect(visit.page.locator("#facts")).to_contain_text("heard by everyday")
    name, text = visit.download("JSON")
    assert LIVE_NAME.sub("", name.replace(".events.json", ".wav")) == ""
    result = json.loads(text)
    assert {event["label"] for event in result["events"]} == {row[2] for row in visit.listed()}
    assert result["seconds"] == pytest.approx(save_sound(visit, tmp_path), abs=1e-5)
    visit.event(NAMES[0]).first.click()
    visit.until(lambda: visit.playing_at() > 0.6)
    expect(error).not_to_be_empty()


def test_a_recording_can_be_saved_though_nobody_can_hear_it(visit: Visit, tmp_path: Path) -> None:
    visit.page.get_by_role("button", name="Record").click()
    wait_seconds(visit, 1)
    visit.page.route("**/v1/timeline*", lambda route: route.abort())
    visit.page.get_by_role("button", name="Stop recording").click()
    expect(visit.page.locator("#choose-error")).to_contain_text("The server does not answer.")
    expect(visit.page.locator("#name")).to_have_text(RECORDING_NAME)
    expect(visit.page.get_by_role("button", name="JSON")).to_be_disabled()
    assert save_sound(visit, tmp_path) >= 1


def save_sound(visit: Visit, folder: Path) -> float:
    """Save the sound as a file; return how many seconds it has."""
    with visit.page.expect_download() as expected:
        visit.page.get_by_role("button", name="Save sound").click()
    assert expected.value.suggested_filename == visit.page.locator("#name").text_content()
    path = folder / "saved.wav"
    expected.value.save_as(path)
    return float(soundfile.info(path).duration)


def test_live_events_are_told_to_a_screen_reader(visit: Visit) -> None:
    visit.page.get_by_role("button", name="Listen live").click()
    expect(visit.page.locator("#status")).to_contain_text(f"{NAMES[0]} at")
    visit.page.get_by_role("button", name="Stop listening").click()
    expect(visit.page.locator("#status")).to_contain_text("Highest scores")


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


def test_the_player_keeps_the_times_of_live_sound_whose_beginning_is_gone(visit: Visit) -> None:
    program = """
    async () => {
      const [{ Player }, { wavFile }] = await Promise.all(
        ["player", "wav"].map((name) => import(`/static/${name}.js`)));
      const audio = new Audio();
      const player = new Player(audio);
      player.load(wavFile([new Int16Array(32_000)], 16_000), 400);
      await new Promise((known) => (audio.onloadedmetadata = known));
      player.seek(401.5);
      const inside = [player.seconds, audio.currentTime];
      player.seek(7);
      return [...inside, player.seconds];
    }
    """
    assert visit.evaluate(program) == [401.5, 1.5, 400]


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
