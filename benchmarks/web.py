"""The model inside in a browser: how fast it is on one core, and how near to Python, as `earmark export` writes it.

Headless Chromium as the system has it, WebAssembly with SIMD on one thread. Speed is that of scores for a minute of
sound, decoding aside; what differs is the score of a whole clip, each file decoded by the browser and by Python. Node
runs the card's test vectors besides.
"""

import base64
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bench import Bench
from benchmarks.row import Goal, Quantity, Row
from earmark.export.web import verify_web, write_web
from earmark.inference.classifier import Classifier

MODEL = "everyday"
LEAST_SPEED, MOST_DIFFERENCE = 20.0, 1e-3
SECONDS, ROUNDS, CLIPS = 60, 9, 100

_TIMED = """async ({ seconds, rounds }) => {
    const { Classifier } = await import("/classify.js");
    const began = performance.now();
    const classifier = await Classifier.load();
    const loaded = performance.now() - began;
    const noise = Float32Array.from({ length: seconds * classifier.card.sample_rate }, () => 0.2 * Math.random() - 0.1);
    const times = [];
    for (let round = -1; round < rounds; round += 1) {
        const begin = performance.now();
        await classifier.classify(noise);
        if (round >= 0) times.push(performance.now() - begin);
    }
    return { loaded: loaded / 1000, times: times.map((time) => time / 1000) };
}"""
_HEARD = """async (files) => {
    const [{ Classifier }, { decode }] = await Promise.all(["/classify.js", "/decode.js"].map((name) => import(name)));
    const classifier = await Classifier.load();
    const answers = [];
    for (const text of files) {
        const file = new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))]);
        const answer = await classifier.classify(await decode(file, classifier.card.sample_rate), { topK: 0 });
        const tags = answer.noneOfThese ? answer.closest : answer.tags;
        answers.push(Object.fromEntries(tags.map((tag) => [tag.id, tag.score])));
    }
    return answers;
}"""


def measure(bench: Bench) -> Iterator[Row]:
    """Yield speed and loading time in a browser, and differences from Python there and in Node."""
    classifier = Classifier.load(MODEL)
    folder = bench.folder / "web"
    write_web(_model(), folder)
    chosen = [clip.path for clip in bench.esc10]
    files = chosen[:: max(1, len(chosen) // bench.pick(CLIPS, 4))]
    with _page(folder) as page:
        timed = page.evaluate(_TIMED, {"seconds": SECONDS, "rounds": bench.pick(ROUNDS, 1)})
        heard = page.evaluate(_HEARD, [base64.b64encode(path.read_bytes()).decode() for path in files])
    yield Row(
        what="waveform to scores in Chromium, one thread",
        ours=Quantity(SECONDS / median(timed["times"]), "× real time"),
        goal=Goal(LEAST_SPEED),
    )
    yield Row(what="loading the model and its runtime, from this machine", ours=Quantity(timed["loaded"], "s"))
    differences = [_difference(classifier, path, theirs) for path, theirs in zip(files, heard, strict=True)]
    beyond = sum(difference > MOST_DIFFERENCE for difference in differences)
    yield Row(
        what="largest difference of a clip's score from Python's",
        ours=Quantity(max(differences), ""),
        goal=Goal(MOST_DIFFERENCE, at_most=True),
        note=f"{len(files)} clips of ESC-10: median {median(differences):.1g}, {beyond} above {MOST_DIFFERENCE:g}",
    )
    yield Row(what="largest difference from its test vectors, in Node", ours=Quantity(verify_web(folder).largest, ""))


def _model() -> Path:
    from earmark.model.hub import default_hub

    return default_hub().resolve(MODEL)


def _difference(classifier: Classifier, path: Path, theirs: dict[str, float]) -> float:
    """Return the largest difference of all scores of a clip."""
    ours = classifier.classify(path, top_k=0)
    return max(abs(tag.score - theirs.get(tag.id, 0.0)) for tag in ours.tags or ours.closest)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def _page(folder: Path) -> Iterator[Any]:
    """Serve the folder, and give its page in a browser; the page's own copy of the model has nothing to do meanwhile.

    Raises
    ------
    FileNotFoundError
        If there is no Chromium.
    """
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("EARMARK_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise FileNotFoundError("no Chromium on the path; set EARMARK_CHROMIUM to where it is")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{server.server_port}/")
            page.locator("#choose:enabled").wait_for()
            yield page
            browser.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
