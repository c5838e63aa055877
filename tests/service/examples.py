"""Writes the examples of the API's description anew: ``python -m tests.service.examples`` in the project's folder."""

import json
import os
from pathlib import Path
from typing import Any

import httpx

from earmark.model.inside import inside_file
from tests.service.process import Running, serving

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "src" / "earmark" / "service" / "examples.json"
CLIP = Path("data", "esc50", "audio", "1-32318-A-0.flac")
"""A dog, in the public domain (CC0), in the shared folder."""

ASKED = {
    "classify": "top_k=2",
    "events": "allow=dog",
    "timeline": "allow=cat,dog&end=2",
    "embed": "end=2",
}
MOST = {"labels": 2, "frames": 2, "embedding": 4}
"""How many items of long lists are shown."""


def main() -> None:
    """Ask a service that runs the model inside, and write what it answers, cut short."""
    with serving([inside_file()]) as service:
        answers = answers_of(service)
    text = json.dumps(shortened(answers), indent=1, ensure_ascii=False)
    EXAMPLES.write_text(f"{text}\n", encoding="utf-8")


def answers_of(service: Running) -> dict[str, Any]:
    """Return the answer of each route, by the name of its description."""
    clip = Path(os.environ.get("EARMARK_SHARED", ROOT.parent / "shared")) / CLIP
    answers = {
        task: httpx.post(f"{service.url}/v1/{task}?{query}", content=clip.read_bytes(), timeout=60).json()
        for task, query in ASKED.items()
    }
    models = {name: f"/v1/models{path}" for name, path in {"models": "", "model": f"/{inside_file().stem}"}.items()}
    return answers | {name: httpx.get(f"{service.url}{path}").json() for name, path in models.items()}


def shortened(answer: Any, name: str = "") -> Any:
    """Return an answer with its long lists, and the thresholds of single labels, cut short."""
    if isinstance(answer, dict):
        kept = {key: answer[key] for key in ("dog",)} if name == "classes" else answer
        return {key: shortened(value, key) for key, value in kept.items()}
    if isinstance(answer, list):
        return [shortened(item) for item in answer[: MOST.get(name)]]
    return answer


if __name__ == "__main__":
    main()
