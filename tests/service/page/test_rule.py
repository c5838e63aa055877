"""The decision rule of the page, held to that of the library: the same events for any sound and any rule."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from earmark.inference.classifier import Classifier
from earmark.model.card import ClassRule, DecisionRule
from earmark.service.facts import model_facts
from tests.service.page.visit import Visit
from tests.tinymodel import save_novel_model

RATE_HZ = 16_000

FIND = """
async (cases) => {
  const [{ Timeline }, { Rule }, { chooseLabels }, { findEvents }] = await Promise.all(
    ["timeline", "rule", "labels", "events"].map((name) => import(`/static/${name}.js`)));
  return cases.map(({ card, timeline, parameters }) => {
    const rule = new Rule(card);
    rule.decision = parameters.rule;
    if (card.has_novelty) [rule.mode, rule.noveltyThreshold] = [parameters.novelty, parameters.novelty_threshold];
    const chosen = chooseLabels(card.labels, parameters.allow, parameters.deny);
    const events = findEvents(Timeline.of(timeline), rule.effective(card.labels), chosen);
    return events.map(({ label, id, onset, offset, score }) => ({ label, id, onset, offset, score }));
  });
}
"""


def some_sound(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return up to ten seconds of tones, noise and quiet, of any loudness."""
    parts = []
    for _ in range(rng.integers(1, 8)):
        samples = int(rng.integers(800, 24_000))
        time = np.arange(samples) / RATE_HZ
        tone = np.sin(2 * np.pi * rng.uniform(50, 6000) * time)
        wave = (tone, rng.standard_normal(samples), tone * 0)[rng.integers(3)]
        parts.append(10 ** rng.uniform(-5, 0) * wave)
    return np.concatenate(parts).astype(np.float32)


def some_rule(rng: np.random.Generator, classifier: Classifier) -> DecisionRule:
    def thresholds() -> tuple[float, float]:
        on = round(rng.uniform(0.3, 0.7), 3)
        return on, round(on * rng.uniform(0.5, 1), 3)

    def seconds() -> float:
        return round(rng.uniform(0, 2), 2) if rng.random() < 0.5 else 0.0

    on, off = thresholds()
    labels = classifier.card.labels
    classes = {label.id: ClassRule(*thresholds()) for label in labels if rng.random() < 0.4}
    return DecisionRule(on, off, seconds(), seconds(), seconds(), classes)


def some_options(rng: np.random.Generator, classifier: Classifier) -> dict[str, Any]:
    options: dict[str, Any] = {"rule": some_rule(rng, classifier)} if rng.random() < 0.9 else {}
    names = [label.name for label in classifier.card.labels]
    if rng.random() < 0.3:
        options["deny"] = [names[rng.integers(len(names))]]
    if classifier.card.novelty_threshold is None:
        return options
    if rng.random() < 0.2:
        return options | {"allow": ["none of these", names[0]]}
    return options | ({"novelty_threshold": round(rng.uniform(0.2, 0.9), 3)} if rng.random() < 0.6 else {})


@pytest.mark.parametrize("name", ["tiny", "novel", "everyday"])
def test_the_page_finds_the_events_that_the_library_finds(
    name: str, visit: Visit, tiny_model: Path, everyday: Path, tmp_path: Path
) -> None:
    path = {"tiny": tiny_model, "everyday": everyday}.get(name) or save_novel_model(tmp_path / "novel.onnx")
    classifier = Classifier.load(path)
    rng = np.random.default_rng(17)
    cases, expected = [], []
    for _ in range(40):
        sound = (some_sound(rng), RATE_HZ)
        found = classifier.events(sound, **some_options(rng, classifier)).to_dict()
        timeline = classifier.timeline(sound).to_dict()
        cases.append({"card": model_facts(classifier), "timeline": timeline, "parameters": found["parameters"]})
        expected.append(found["events"])
    heard = visit.evaluate(FIND, cases)
    for own, theirs in zip(heard, expected, strict=True):
        assert [(event["id"], event["onset"], event["offset"]) for event in own] == [
            (event["id"], event["onset"], event["offset"]) for event in theirs
        ]
        assert [event["score"] for event in own] == pytest.approx([event["score"] for event in theirs], abs=1e-6)
    kinds = {event["id"] for events in expected for event in events}
    assert len(kinds) > 1, "the cases must have something to find"
    assert ("none_of_these" in kinds) == (classifier.card.novelty_threshold is not None)


def test_labels_are_chosen_as_the_library_does(visit: Visit) -> None:
    from earmark.inference.labels import select_labels
    from earmark.model.card import Label

    names = ["Rain", "Child speech, kid speaking", "[odd]", "Bird", "Bird song", "dog", "hog", "Straße"]
    labels = [Label(f"/m/{number}", name) for number, name in enumerate(names)]
    entries = [
        "rain",
        "RAIN ",
        "/m/3",
        "*bird*",
        "bird*",
        "[dh]og",
        "[!d]og",
        "?og",
        "[odd]",
        "child speech,kid  speaking",
    ]
    program = """
    async ({ labels, entries }) => {
      const { matching } = await import("/static/labels.js");
      return entries.map((entry) => matching(entry, labels));
    }
    """
    given = {"labels": [{"label": label.name, "id": label.id} for label in labels], "entries": entries}
    assert visit.evaluate(program, given) == [select_labels(labels, [entry]).tolist() for entry in entries]
