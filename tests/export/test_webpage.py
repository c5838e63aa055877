"""The page of a model in a real browser: it says what Python says, of files and of what the microphone hears."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import expect

from earmark.export.web import write_web
from earmark.inference.classifier import Classifier
from tests.export.browsing import Browsing, Site, served
from tests.service.page.chromium import chromium_path
from tests.service.page.visit import Visit
from tests.tinymodel import save_novel_model

RATE_HZ = 16_000
CLIPS = ("1-100032-A-0", "1-26806-A-1", "1-17367-A-10", "1-187207-A-20", "1-172649-A-40", "1-21934-A-38")
NEAR = 1e-4


@pytest.fixture(scope="module")
def browsing(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Iterator[Browsing]:
    """Start a browser whose microphone hears a rooster again and again."""
    if chromium_path() is None:
        pytest.skip("no Chromium on the path; EARMARK_CHROMIUM may say where it is")
    heard = tmp_path_factory.mktemp("heard") / "rooster.wav"
    soundfile.write(heard, soundfile.read(clip(shared, CLIPS[1]))[0], RATE_HZ, subtype="PCM_16")
    browsing = Browsing(heard)
    yield browsing
    browsing.close()


@pytest.fixture(scope="module")
def site(
    browsing: Browsing, everyday: Path, installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Serve the page of the model inside."""
    folder = tmp_path_factory.mktemp("everyday") / "page"
    write_web(everyday, folder, runtime=installed)
    with served(folder) as url:
        site = Site(folder, url, browsing)
        yield site
        site.close()


@pytest.fixture(scope="module")
def tiny_site(browsing: Browsing, tiny_page: Path) -> Iterator[Site]:
    with served(tiny_page) as url:
        site = Site(tiny_page, url, browsing)
        yield site
        site.close()


def clip(shared: Path, name: str) -> Path:
    return next((shared / "data" / "esc50").rglob(f"{name}.*"))


def hear(visit: Visit, file: Path) -> None:
    """Choose a file, and wait until it is shown what is heard in it."""
    visit.page.locator("#file").set_input_files(file)
    expect(visit.page.locator("#result-title")).to_have_text(file.name)


def test_a_browser_says_what_python_says(site: Site, shared: Path, everyday: Path) -> None:
    """Clips of the model's own rate: how a browser converts others is its own matter."""
    classifier = Classifier.load(everyday)
    files = [clip(shared, name) for name in CLIPS]
    program = """
        const { decode } = await import("/decode.js");
        const file = new File([bytes], "clip");
        const answer = await classifier.classify(await decode(file, classifier.card.sample_rate), { topK: 0 });
        return { ...answer, frames: { ...answer.frames, scores: [...answer.frames.scores] } };
    """

    for file in files:
        theirs = site.evaluate(program, file.read_bytes())
        ours, timeline = classifier.classify(file, top_k=0), classifier.timeline(file)
        assert theirs["noneOfThese"] == ours.none_of_these
        assert theirs["novelty"] == pytest.approx(ours.novelty, abs=NEAR)
        tags = {tag["id"]: tag["score"] for tag in theirs["tags"] or theirs["closest"]}
        assert tags == pytest.approx({tag.id: tag.score for tag in ours.tags or ours.closest}, abs=NEAR)
        np.testing.assert_allclose(theirs["frames"]["edges"], timeline.edges, atol=1e-9)
        np.testing.assert_allclose(theirs["frames"]["scores"], timeline.scores.ravel(), atol=NEAR)


@pytest.mark.parametrize(("positive", "is_altered"), [(32767, True), (32768, False), (31000, False)])
def test_samples_of_sixteen_bits_have_one_scale(positive: int, is_altered: bool, tiny_site: Site) -> None:
    whole = np.array([-32768, -3, -1, 0, 1, 2, 300, 12_345, 32_767])
    samples = (whole / np.where(whole > 0, positive, 32768)).astype(np.float32)
    program = """
        const { straighten } = await import("/decode.js");
        straighten(waveform);
        return [...waveform];
    """
    theirs = tiny_site.evaluate(program, samples.tobytes())
    np.testing.assert_array_equal(theirs, (whole / 32768).astype(np.float32) if is_altered else samples)


def test_channels_are_averaged(tiny_site: Site) -> None:
    program = """
        const { toMono } = await import("/decode.js");
        return [...toMono([Float32Array.of(1, 0), Float32Array.of(0.5, 0), Float32Array.of(0, -0.75)])];
    """
    assert tiny_site.evaluate(program) == pytest.approx([0.5, -0.25])


def test_a_file_is_heard(site: Site, shared: Path, everyday: Path) -> None:
    file = clip(shared, CLIPS[1])
    best = Classifier.load(everyday).classify(file).tags[0]

    def visited(visit: Visit) -> None:
        hear(visit, file)
        first = visit.page.locator("#tags li").first
        expect(first).to_contain_text(f"{best.label}{best.score:.2f} above its threshold")
        expect(first).to_have_class("sure")
        assert float(first.locator("b").evaluate("(bar) => bar.style.width").rstrip("%")) / 100 == pytest.approx(
            best.score, abs=NEAR
        )
        expect(visit.page.locator("#facts")).to_have_text("5 s of sound, heard by everyday")
        expect(visit.page.locator("#status")).to_contain_text(f"{file.name}: {best.label} {best.score:.2f}")
        expect(visit.page.locator("#lanes li").first).to_contain_text("highest")
        assert visit.page.locator("#lanes canvas").first.evaluate(
            "(canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"
        )
        assert visit.page.title() == "everyday · earmark"

    site.see(visited)


def test_long_sound_is_cut_as_python_cuts_it(tiny_site: Site, tiny_model: Path) -> None:
    """The tiny model's segments are half a second long; what is left at the end may be no frame of its own."""
    classifier, rng = Classifier.load(tiny_model), np.random.default_rng(1)
    frame = classifier.card.frame_length, classifier.card.frame_hop
    sizes = [1, frame[0], frame[0] + 5 * frame[1], frame[0] + 6 * frame[1] - 1, 12 * frame[1] + 7, 3 * RATE_HZ + 123]
    sounds = [rng.uniform(-0.5, 0.5, size).astype(np.float32) for size in sizes]
    sounds.append(np.concatenate([sounds[-1], np.zeros(RATE_HZ, np.float32)]))
    program = """
        const { tags, frames, seconds } = await classifier.classify(waveform, { topK: 0 });
        const { Stream } = await import("/stream.js");
        const stream = new Stream(classifier);
        const live = [];
        for (let at = 0; at < waveform.length; at += 777) {
            stream.push(waveform.subarray(at, at + 777));
            for (let next = await stream.next(); next; next = await stream.next()) live.push(...next.scores);
        }
        return { tags, seconds, edges: frames.edges, scores: [...frames.scores], live };
    """

    for sound in sounds:
        theirs = tiny_site.evaluate(program, sound.tobytes())
        ours, timeline = classifier.classify((sound, RATE_HZ), top_k=0), classifier.timeline((sound, RATE_HZ))
        assert theirs["seconds"] == ours.seconds
        assert [tag["id"] for tag in theirs["tags"]] == [tag.id for tag in ours.tags]
        assert [tag["score"] for tag in theirs["tags"]] == pytest.approx([tag.score for tag in ours.tags], abs=1e-5)
        np.testing.assert_allclose(theirs["edges"], timeline.edges, atol=1e-9)
        np.testing.assert_allclose(theirs["scores"], timeline.scores.ravel(), atol=1e-5)
        complete = max(0, 1 + (len(sound) - frame[0]) // frame[1])
        np.testing.assert_allclose(theirs["live"], timeline.scores[:complete].ravel(), atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "loudness", "reason"),
    [
        ({}, 0.5, "It is unlike anything the model has learnt. The closest are:"),
        ({"novelty_threshold": None, "task": "single-label", "background": True}, 0.5, None),
        ({}, 1e-5, None),
    ],
)
def test_what_is_none_of_these(
    changes: dict,
    loudness: float,
    reason: str | None,
    browsing: Browsing,
    installed: Path,
    tmp_path: Path,
    rng: np.random.Generator,
) -> None:
    model = save_novel_model(tmp_path / "novel.onnx", **changes)
    write_web(model, tmp_path / "page", runtime=installed)
    sound = tmp_path / "noise.wav"
    soundfile.write(sound, rng.uniform(-loudness, loudness, RATE_HZ), RATE_HZ, subtype="FLOAT")
    ours = Classifier.load(model).classify(sound)
    assert ours.none_of_these == (reason is not None)

    def visited(visit: Visit) -> None:
        hear(visit, sound)
        refused = visit.page.locator("#refused")
        if reason is None:
            expect(refused).to_be_hidden()
        else:
            expect(refused).to_have_text(f"None of these. {reason}")
        expect(visit.page.locator("#tags .label").first).to_have_text((ours.tags or ours.closest)[0].label)
        expect(visit.page.locator("#calibrated")).to_contain_text("This model is not calibrated")
        expect(visit.page.locator("#tags .sure")).to_have_count(
            0 if reason else sum(tag.score >= 0.6 for tag in ours.tags)
        )

    with served(tmp_path / "page") as url:
        Site(tmp_path / "page", url, browsing).see(visited)


def test_refusals_are_those_of_python(tiny_site: Site) -> None:
    program = """
        const { answerOf } = await import("/classify.js");
        const card = { ...classifier.card, background: true, novelty_threshold: 0.7 };
        const say = (scores, novelty) => answerOf(card, Float64Array.from(scores), novelty).reason;
        return [
            say([0, 0, 0, 0, 0], 0.9), say([0.2, 0.1, 0.1, 0, 0], 0.1), say([0.4, 0.3, 0, 0, 0], 0.1),
            say([0.9, 0, 0, 0, 0], Math.fround(0.7)), say([0.9, 0, 0, 0, 0], 0.69), say([0.9, 0, 0, 0, 0], null),
        ];
    """
    assert tiny_site.evaluate(program) == ["silence", "background", None, "unlike", None, None]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("[0, 1]", "The waveform is no Float32Array: give one channel as such."),
        ("new Float32Array(0)", "The waveform has no samples: there is nothing to hear."),
        ("Float32Array.of(0, NaN)", "The waveform holds NaN or infinite samples: look at where it comes from."),
    ],
)
def test_what_no_program_may_give(given: str, message: str, tiny_site: Site) -> None:
    program = f"return classifier.classify({given}).catch((error) => error.message);"
    assert tiny_site.evaluate(program) == message


def test_what_is_no_sound_is_told_and_what_was_shown_stays(
    tiny_site: Site, tmp_path: Path, rng: np.random.Generator
) -> None:
    good, letter, empty = tmp_path / "good.flac", tmp_path / "letter.wav", tmp_path / "empty.wav"
    soundfile.write(good, rng.uniform(-0.5, 0.5, (44_100, 2)), 44_100)
    letter.write_text("There is no sound in here.")
    empty.touch()

    def visited(visit: Visit) -> None:
        hear(visit, good)
        error = visit.page.locator("#choose-error")
        visit.page.locator("#file").set_input_files(letter)
        expect(error).to_contain_text("letter.wav: This browser finds no sound in it that it can decode. Choose WAV")
        expect(error).to_have_attribute("role", "alert")
        visit.drop(empty)
        expect(error).to_have_text("empty.wav: The file is empty. Choose another one.")
        expect(visit.page.locator("#result-title")).to_have_text(good.name)
        expect(visit.page.locator("#busy")).to_be_hidden()
        visit.drop(good)
        expect(error).to_be_empty()

    tiny_site.see(visited)


def test_hearing_a_long_file_can_be_stopped(site: Site, tmp_path: Path, rng: np.random.Generator) -> None:
    long = tmp_path / "long.wav"
    soundfile.write(long, rng.uniform(-0.5, 0.5, 600 * RATE_HZ), RATE_HZ, subtype="PCM_16")

    def visited(visit: Visit) -> None:
        visit.page.locator("#file").set_input_files(long)
        expect(visit.page.locator("#busy-text")).to_have_text("Listening to long.wav")
        progress = visit.page.get_by_role("progressbar")
        visit.until(lambda: progress.evaluate("(bar) => bar.position") > 0)
        assert visit.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => drawn(true)))")
        visit.page.get_by_role("button", name="Stop", exact=True).click()
        expect(visit.page.locator("#busy")).to_be_hidden()
        expect(visit.page.locator("#result")).to_be_hidden()
        expect(visit.page.locator("#choose-error")).to_be_empty()

    site.see(visited)


def test_the_microphone_is_heard_live(site: Site) -> None:
    def visited(visit: Visit) -> None:
        visit.page.get_by_role("button", name="Listen").click()
        expect(visit.page.locator("#result-title")).to_have_text("Right now")
        expect(visit.page.locator("#lanes")).to_contain_text("rooster")
        expect(visit.page.locator("#status")).to_contain_text("rooster")
        assert visit.page.locator("#level").evaluate("(bar) => bar.style.width") != ""
        expect(visit.page.get_by_role("button", name="Choose a file")).to_be_disabled()
        visit.page.get_by_role("button", name="Stop listening").click()
        expect(visit.page.locator("#result-title")).to_have_text("Heard last")
        expect(visit.page.locator("#meter")).to_be_hidden()
        expect(visit.page.get_by_role("button", name="Listen", exact=True)).to_be_focused()
        visit.page.get_by_role("button", name="Listen", exact=True).click()  # and again
        expect(visit.page.locator("#result-title")).to_have_text("Right now")
        visit.page.get_by_role("button", name="Stop listening").click()

    site.see(visited)


def test_a_browser_whose_microphone_has_one_rate(site: Site) -> None:
    """Firefox brings a microphone into no context of another rate: the page then converts it."""
    script = """
        const own = AudioContext.prototype.createMediaStreamSource;
        AudioContext.prototype.createMediaStreamSource = function (stream) {
            if (this.sampleRate === 16000) throw new DOMException("another rate", "NotSupportedError");
            return own.call(this, stream);
        };
    """

    def visited(visit: Visit) -> None:
        visit.page.get_by_role("button", name="Listen").click()
        expect(visit.page.locator("#status")).to_contain_text("rooster")
        visit.page.get_by_role("button", name="Stop listening").click()

    site.see(visited, script=script)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48_000, 16_000), (44_100, 16_000), (8_000, 16_000)])
def test_the_page_converts_as_soxr_does(from_hz: int, to_hz: int, tiny_site: Site) -> None:
    soxr = pytest.importorskip("soxr")
    times = np.arange(from_hz) / from_hz
    sound = (0.4 * np.sin(2 * np.pi * 440 * times) + 0.4 * np.sin(2 * np.pi * 3000 * times)).astype(np.float32)
    if from_hz > to_hz:
        sound += (0.2 * np.sin(2 * np.pi * 11_000 * times)).astype(np.float32)  # beyond what the lower rate can hold
    program = f"""
        const {{ Resampler }} = await import("/resample.js");
        const [resampler, out] = [new Resampler({from_hz}, {to_hz}), []];
        for (let at = 0; at < waveform.length; at += 999) out.push(...resampler.feed(waveform.slice(at, at + 999)));
        return out;
    """
    theirs = np.array(tiny_site.evaluate(program, sound.tobytes()))
    ours = soxr.resample(sound, from_hz, to_hz, quality="HQ")[: len(theirs)]
    assert len(theirs) > 0.98 * to_hz
    np.testing.assert_allclose(theirs[800:-800], ours[800:-800], atol=5e-3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("NotAllowedError", "The browser may not use the microphone. Allow it for this page in the address bar"),
        ("NotFoundError", "No microphone was found. Connect one, then try again."),
    ],
)
def test_a_microphone_that_is_refused_is_told(name: str, message: str, tiny_site: Site) -> None:
    script = f"navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', '{name}'));"

    def visited(visit: Visit) -> None:
        visit.page.get_by_role("button", name="Listen").click()
        expect(visit.page.locator("#listen-error")).to_contain_text(message)
        expect(visit.page.get_by_role("button", name="Listen", exact=True)).to_be_enabled()
        expect(visit.page.locator("#result")).to_be_hidden()

    tiny_site.see(visited, script=script)


def test_a_model_that_is_not_there_is_told(tiny_page: Path, browsing: Browsing, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    shutil.copytree(tiny_page, folder)
    (folder / "model.onnx").unlink()

    def visited(visit: Visit) -> None:
        error = visit.page.locator("#load-error")
        expect(error).to_have_text("The model cannot be loaded. /model.onnx cannot be fetched: the server answers 404.")
        expect(visit.page.get_by_role("button", name="Choose a file")).to_be_disabled()

    with served(folder) as url:
        Site(folder, url, browsing).see(visited, ready=False)


@pytest.mark.parametrize("options", [{"width": 320}, {"width": 1100, "scheme": "dark"}])
def test_any_screen_will_do(options: dict, tiny_site: Site, tmp_path: Path, rng: np.random.Generator) -> None:
    file = tmp_path / f"{'a name that is too long for a telephone ' * 3}.wav"
    soundfile.write(file, rng.uniform(-0.5, 0.5, 30 * RATE_HZ), RATE_HZ)

    def visited(visit: Visit) -> str:
        hear(visit, file)
        widths = visit.evaluate("() => [document.documentElement.scrollWidth, window.innerWidth]")
        assert widths[0] <= widths[1]
        unnamed = visit.evaluate(
            "() => [...document.querySelectorAll('button, input')]"
            ".filter((each) => !each.textContent.trim() && !each.ariaLabel).map((each) => each.outerHTML)"
        )
        assert not unnamed
        return str(visit.evaluate("() => getComputedStyle(document.body).backgroundColor"))

    scheme = options.get("scheme", "light")
    viewport = {"width": options["width"], "height": 700}
    colour = tiny_site.see(visited, viewport=viewport, color_scheme=scheme)
    assert (sum(map(int, re.findall(r"\d+", colour))) > 384) == (scheme == "light")


def test_the_keyboard_is_enough(tiny_site: Site) -> None:
    def visited(visit: Visit) -> None:
        with visit.page.expect_file_chooser():
            visit.page.keyboard.press("Tab")
            expect(visit.page.get_by_role("button", name="Choose a file")).to_be_focused()
            visit.page.keyboard.press("Enter")
        visit.page.keyboard.press("Tab")
        visit.page.keyboard.press("Space")
        expect(visit.page.locator("#result-title")).to_have_text("Right now")
        visit.page.keyboard.press("Space")
        expect(visit.page.locator("#meter")).to_be_hidden()

    tiny_site.see(visited)
