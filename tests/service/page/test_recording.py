"""A recording on the page: dropped, seen, heard, and what the sliders and filters make of it."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from playwright.sync_api import expect

from tests.service.page.conftest import KNOWN
from tests.service.page.visit import Visit
from tests.service.process import Running

NAMES = [name.replace("_", " ") for name in KNOWN]


def server_answer(service: Running, task: str, file: Path, **parameters: Any) -> httpx.Response:
    url = f"{service.url}/v1/{task}"
    return httpx.post(url, content=file.read_bytes(), params=parameters, timeout=60).raise_for_status()


def server_events(service: Running, file: Path, **parameters: Any) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = server_answer(service, "events", file, **parameters).json()["events"]
    return events


def assert_shown(visit: Visit, events: list[dict[str, Any]]) -> None:
    """See that the table has these events, as precisely as it shows them."""
    expect(visit.page.locator("#events tbody tr")).to_have_count(len(events))
    for row, event in zip(visit.listed(), events, strict=True):
        assert row[2] == event["label"]
        assert (row[0], row[1], row[3]) == pytest.approx((event["onset"], event["offset"], event["score"]), abs=0.006)


def test_a_dropped_file_is_shown_with_the_events_of_the_server(visit: Visit, service: Running, recording: Path) -> None:
    visit.hear(recording)
    events = server_events(service, recording)
    assert {event["label"] for event in events} >= set(NAMES)
    assert_shown(visit, events)
    expect(visit.events()).to_have_count(len(events))
    expect(visit.page.locator("#status")).to_contain_text(f"{len(events)} events")


def test_the_tags_are_those_of_the_server(visit: Visit, service: Running, recording: Path) -> None:
    visit.hear(recording)
    visit.page.get_by_role("button", name="Show all 53").click()
    rows = [row.text_content() for row in visit.page.locator("#tags tbody tr").all()]
    tags = server_answer(service, "classify", recording, top_k=0).json()["tags"]
    assert rows == [f"{tag['label']}{tag['score']:.2f}" for tag in tags]


def test_waveform_spectrogram_and_lanes_share_one_axis(visit: Visit, recording: Path) -> None:
    visit.hear(recording)
    boxes = [track.bounding_box() for track in visit.page.locator(".stage .track").all()]
    assert len(boxes) >= 3 + len(NAMES)
    assert len({(box["x"], box["width"]) for box in boxes if box}) == 1
    # The canvases are painted: the quiet beginning otherwise than the loud middle.
    painted = """(part) => {
        const canvas = document.querySelector(`[data-part=${part}] canvas`);
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        return new Set(new Uint32Array(data.buffer)).size;
    }"""
    for part in ("waveform", "spectrogram"):
        visit.until(lambda part=part: visit.evaluate(painted, part) >= 3)


def test_an_event_is_heard_when_it_is_pressed(visit: Visit, recording: Path) -> None:
    visit.hear(recording)
    onset, offset, *_ = next(row for row in visit.listed() if row[2] == "car horn")
    visit.event("car horn").first.click()
    expect(visit.page.locator(".event.playing")).to_have_count(1)
    expect(visit.page.locator("#play span")).to_have_text("Pause")
    assert visit.playing_at() >= onset - 0.01
    visit.until(lambda: visit.playing_at() > onset + 0.1)
    expect(visit.page.locator("#play span")).to_have_text("Play")  # it stops by itself
    assert offset - 0.01 <= visit.playing_at() < offset + 1


def test_a_press_on_the_waveform_plays_from_there(visit: Visit, recording: Path) -> None:
    visit.hear(recording)
    track = visit.page.locator("[data-part=waveform]")
    box = track.bounding_box()
    assert box is not None
    track.click(position={"x": box["width"] / 2, "y": 20})
    expect(visit.page.locator("#play span")).to_have_text("Pause")
    seconds = soundfile.info(recording).duration
    assert seconds / 2 - 0.1 < visit.playing_at() < seconds / 2 + 2
    visit.page.locator("#play").click()
    expect(visit.page.locator("#play span")).to_have_text("Play")


def test_all_lanes_zoom_together(visit: Visit, recording: Path) -> None:
    visit.hear(recording)
    event = visit.event("car horn").first
    ticks = visit.page.locator("[data-part=ticks] span")

    def width() -> float:
        return float(event.evaluate("(event) => event.getBoundingClientRect().width"))

    whole, times = width(), ticks.all_text_contents()
    visit.page.get_by_role("button", name="Zoom in").click()
    visit.until(lambda: width() > 1.5 * whole)
    assert ticks.all_text_contents() != times
    visit.page.locator("[data-part=spectrogram]").hover()
    visit.page.mouse.wheel(0, -400)
    visit.until(lambda: width() > 2 * whole)
    visit.page.get_by_role("button", name="Fit").click()
    visit.until(lambda: abs(width() - whole) < 1)
    assert ticks.all_text_contents() == times


def test_a_threshold_moves_the_events_at_once(visit: Visit, recording: Path) -> None:
    visit.hear(recording)
    asked = len(visit.addresses)
    name = NAMES[0]
    slider = visit.page.get_by_role("slider", name=f"Threshold of {name}")
    events = visit.events().count()
    visit.slide(slider, 1)
    expect(visit.event(name)).to_have_count(0)
    assert visit.events().count() < events
    visit.slide(slider, 0)
    expect(visit.event(name)).to_have_count(1)
    visit.page.get_by_role("button", name="Reset to the model's card").click()
    expect(visit.events()).to_have_count(events)
    assert len(visit.addresses) == asked, "the events are found in the browser"


def test_the_slider_of_all_labels_gives_the_events_of_the_server(
    visit: Visit, service: Running, recording: Path
) -> None:
    visit.page.locator("#model").select_option("tiny")
    visit.hear(recording)
    visit.page.get_by_text("More", exact=True).click()
    visit.slide(visit.page.get_by_label("Threshold of all labels"), 0.5)
    visit.slide(visit.page.get_by_label("Shortest event"), 0.5)
    visit.slide(visit.page.get_by_label("Gaps closed up to"), 0.6)
    visit.slide(visit.page.get_by_label("Smoothed over"), 0.7)
    rule = json.loads(visit.download("JSON")[1])["parameters"]["rule"]
    assert rule["on"] == pytest.approx(0.5)
    wanted = {"on": rule["on"], "off": rule["off"], "min_duration": 0.5, "merge_gap": 0.6, "smoothing": 0.7}
    assert_shown(visit, server_events(service, recording, model="tiny", **wanted))


def test_allow_and_deny_are_typed_with_completion(visit: Visit, recording: Path) -> None:
    visit.hear(recording)
    field = visit.page.get_by_role("combobox", name="Only these")
    field.press_sequentially("car")
    expect(visit.page.get_by_role("listbox", name="Only these").get_by_role("option")).to_have_text(["car horn"])
    field.press("ArrowDown")
    field.press("Enter")
    expect(visit.page.locator(".lane .label")).to_have_text(["car horn"])
    assert {row[2] for row in visit.listed()} == {"car horn"}
    visit.page.get_by_role("button", name="Remove car horn").click()
    field = visit.page.get_by_role("combobox", name="Not these")
    field.fill("*alarm*")
    field.press("Enter")
    expect(visit.event("clock alarm")).to_have_count(0)
    expect(visit.event("car horn").first).to_be_visible()
    field.fill("car hron")
    field.press("Enter")
    expect(visit.page.locator("#deny-error")).to_contain_text(
        "No label of this model is called “car hron”; did you mean car horn"
    )


def test_filters_that_leave_nothing_and_filters_that_stay_are_told(
    visit: Visit, recording: Path, tmp_path: Path
) -> None:
    visit.hear(recording)
    for name in ("Only these", "Not these"):
        field = visit.page.get_by_role("combobox", name=name)
        field.fill("car horn")
        field.press("Enter")
    empty = visit.page.locator("#no-events")
    expect(empty).to_have_text("No label is left to look for.")
    expect(visit.page.locator("#deny-error")).to_contain_text("This takes away every label of “Only these”.")
    visit.page.locator("#deny").get_by_role("button", name="Remove car horn").click()
    expect(visit.page.locator("#deny-error")).to_be_empty()
    expect(visit.events()).to_have_count(1)
    quiet = tmp_path / "quiet.wav"
    soundfile.write(quiet, np.zeros(48_000), 16_000)
    visit.hear(quiet)
    expect(visit.page.locator("#filter")).to_have_text("Only car horn is looked for.")
    expect(empty).to_have_text("No label reaches its threshold. Lower one to see what it would find.")
    expect(visit.page.locator("#status")).to_contain_text("Only car horn is looked for.")


def test_a_curve_above_its_threshold_without_an_event_is_explained(visit: Visit, recording: Path) -> None:
    visit.hear(recording)
    lane = visit.page.get_by_role("group", name=NAMES[0], exact=True)
    expect(lane.locator(".why")).to_be_empty()
    visit.page.get_by_text("More", exact=True).click()
    visit.slide(visit.page.get_by_label("Shortest event"), 5)
    expect(lane.locator(".why")).to_have_text("too short")
    expect(visit.page.locator("#no-events")).to_contain_text("What reaches its threshold is too short for an event")
    seconds = soundfile.info(recording).duration
    track = lane.locator(".track")
    track.hover(position={"x": visit.box(".lanes .track >> nth=0")["width"] * 1.5 / seconds, "y": 20})
    readout = visit.page.locator("[data-part=pointer]")
    visit.until(lambda: str(readout.get_attribute("data-time")).endswith(", too short"))
    visit.slide(visit.page.get_by_label("Unknown from a novelty of"), 0)
    expect(lane.locator(".why")).to_have_text("refused as unknown")


def test_lanes_with_events_come_first(visit: Visit, recording: Path) -> None:
    visit.hear(recording)
    shown = visit.page.locator(".lanes .lane")
    names = [str(name) for name in shown.evaluate_all("(lanes) => lanes.map((lane) => lane.ariaLabel)")]
    heard = {row[2] for row in visit.listed()}
    assert set(names[: len(heard)]) == heard
    # A lane whose own slider is moved stays where it is: the slider would run away from the pointer.
    visit.slide(visit.page.get_by_role("slider", name=f"Threshold of {names[-1]}"), 0)
    expect(visit.event(names[-1])).to_have_count(1)
    assert shown.last.get_attribute("aria-label") == names[-1]


def test_a_slider_holds_what_the_card_says(visit: Visit, service: Running, recording: Path) -> None:
    visit.hear(recording)
    card = httpx.get(f"{service.url}/v1/models/everyday", timeout=60).json()["decision"]
    visit.page.get_by_text("More", exact=True).click()
    for title, name in (("Shortest event", "min_duration_seconds"), ("Gaps closed up to", "merge_gap_seconds")):
        slider = visit.page.get_by_label(title)
        assert float(slider.input_value()) == pytest.approx(card[name], abs=0.005)
        visit.slide(slider, 3)
        visit.slide(slider, card[name])
    label = next(iter(card["classes"]))
    lane = visit.page.locator(f".lane[data-id='{label}'] input")
    if lane.count():
        visit.slide(lane, 0.9)
        visit.slide(lane, card["classes"][label]["on"])
    rule = json.loads(visit.download("JSON")[1])["parameters"]["rule"]
    assert rule == card


def test_what_a_slider_does_is_told_to_a_screen_reader(visit: Visit, recording: Path) -> None:
    visit.hear(recording)
    visit.slide(visit.page.get_by_role("slider", name=f"Threshold of {NAMES[0]}"), 1)
    expect(visit.page.locator("#status")).to_contain_text(f"{NAMES[0]}: 0 events. In all ")
    visit.slide(visit.page.get_by_label("Threshold of all labels"), 1)
    expect(visit.page.locator("#status")).to_contain_text("0 events. No label reaches its threshold.")


def test_another_model_hears_the_same_recording(visit: Visit, service: Running, recording: Path) -> None:
    visit.hear(recording)
    visit.page.locator("#model").select_option("tiny")
    expect(visit.page.locator("#facts")).to_contain_text("heard by tiny 1")
    assert_shown(visit, server_events(service, recording, model="tiny"))
    expect(visit.page.locator("#calibrated")).to_contain_text("not calibrated")


def test_unknown_sound_is_called_none_of_these(visit: Visit, service: Running, tmp_path: Path) -> None:
    loud = tmp_path / "loud.wav"
    rng = np.random.default_rng(3)
    soundfile.write(loud, 0.3 * rng.standard_normal(48_000), 16_000)
    visit.page.locator("#model").select_option("novel")
    visit.hear(loud)
    events = server_events(service, loud, model="novel")
    assert {event["label"] for event in events} == {"none of these"}
    assert_shown(visit, events)
    expect(visit.page.locator("#refused")).to_contain_text("None of these.")
    visit.page.get_by_label("Call unknown sound “none of these”").uncheck()
    expect(visit.page.locator("#refused")).to_be_hidden()
    assert_shown(visit, server_events(service, loud, model="novel", novelty="ignore"))


def test_what_is_downloaded_is_what_the_server_writes(visit: Visit, service: Running, recording: Path) -> None:
    visit.hear(recording)
    result = server_answer(service, "events", recording).json() | {"file": recording.name}
    name, text = visit.download("JSON")
    assert (name, json.loads(text)) == ("two sounds.events.json", result)
    name, text = visit.download("CSV")
    rows = list(csv.DictReader(io.StringIO(text)))
    expected = list(csv.DictReader(io.StringIO(server_answer(service, "events", recording, format="csv").text)))
    assert name == "two sounds.events.csv"
    assert [columns(row) for row in rows] == [columns(row | {"file": recording.name}) for row in expected]
    name, text = visit.download("Audacity")
    assert name == "two sounds.labels.txt"
    assert text == server_answer(service, "events", recording, format="audacity").text


def columns(row: dict[str, str]) -> dict[str, Any]:
    """Return a row with its numbers as numbers: 1.0 and 1 are the same."""
    numbers = {name: float(row[name]) for name in ("seconds", "onset", "offset", "score")}
    return {**row, **numbers, "parameters": json.loads(row["parameters"])}


def test_what_the_browser_cannot_decode_the_server_does(visit: Visit, recording: Path, tmp_path: Path) -> None:
    samples, rate = soundfile.read(recording)
    file = tmp_path / "two sounds.aiff"
    soundfile.write(file, samples, rate)
    visit.hear(file, "audio/aiff")
    assert any(address.endswith("/v1/wav") for address in visit.addresses)
    visit.event("car horn").first.click()
    visit.until(lambda: visit.playing_at() > 3.0)


def test_notes_of_the_server_are_shown(visit: Visit, tmp_path: Path) -> None:
    clipped = tmp_path / "clipped.wav"
    time = np.arange(32_000) / 16_000
    soundfile.write(clipped, np.clip(4 * np.sin(2 * np.pi * 300 * time), -1, 1), 16_000)
    visit.hear(clipped)
    expect(visit.page.locator("#notes")).to_contain_text("clip")
