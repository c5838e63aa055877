"""The outcome: what it holds, and that its tables can be read back."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earmark.errors import MissingExtraError, OptionError, OutputError
from earmark.evaluation.outcome import Outcome, check_scores_file, summarise

LABELS = ("cat, wild", "Glöckchen\r", "truth")  # as awkward as labels get


def outcome(**changes: Any) -> Outcome:
    scores = np.array([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3], [0.1, 0.2, 0.7], [0.5, 0.3, 0.2]], np.float32)
    targets = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], np.float32)
    fields: dict[str, Any] = {
        "labels": LABELS,
        "task": "single-label",
        "targets": targets,
        "scores": scores,
        "model": "tiny 1",
        "clips": ("a.wav", "b \udcff.wav", "c.wav", "d.wav"),
        "starts": (None, 1.5, None, None),
        "ends": (None, None, None, None),
        "folds": ("1", "2", "1", "2"),
        "novelty": np.array([0.1, 0.2, 0.3, 0.9], np.float32),
        "novelty_threshold": 0.25,
    }
    return summarise(**(fields | changes))


def test_dict_is_json() -> None:
    plain = json.loads(json.dumps(outcome(failures=(("x.wav", "empty"),)).to_dict(), allow_nan=False))
    assert plain["metrics"]["accuracy"] == 1.0
    assert plain["folds"] == ["1", "2"]
    assert plain["spread"]["accuracy"] == {"mean": 1.0, "deviation": 0.0, "values": [1.0, 1.0]}
    assert plain["failures"] == [{"file": "x.wav", "error": "empty"}]
    assert plain["novelty"] == {"roc_auc": 1.0, "known_refused": 0.333333, "unknown_refused": 1.0}
    assert "classes" not in outcome().to_dict(classes=False)["metrics"]


def test_one_fold_has_no_spread() -> None:
    assert outcome(folds=("1",) * 4).spread == {}
    assert outcome(folds=None).spread == {}


def test_thresholds_are_for_several_labels() -> None:
    assert outcome().thresholds == {}
    several = outcome(task="multi-label", thresholds=dict.fromkeys(LABELS, 0.3))
    assert several.thresholds[LABELS[0]] == 0.3
    assert several.metrics.classes[1].given == 2
    assert several.metrics.classes[1].threshold == pytest.approx(0.3)


def test_folds_may_have_thresholds_of_their_own() -> None:
    limits = np.full((4, len(LABELS)), 0.3, np.float32)
    limits[:2] = 0.99
    several = outcome(task="multi-label", thresholds=limits, folds=("1", "1", "2", "2"))
    np.testing.assert_array_equal(several.limits, limits)
    given = several.scores >= limits
    assert [item.given for item in several.metrics.classes] == given.sum(axis=0).tolist()
    assert several.metrics.classes[0].threshold == pytest.approx(0.645)
    assert several.refused[:2].all()
    assert several.spread["f1_micro"].values[0] == 0.0
    with pytest.raises(OptionError, match=r"thresholds of shape \(1, 3\) for scores of shape \(4, 3\)"):
        outcome(task="multi-label", thresholds=limits[:1])


def test_novelty_without_threshold_refuses_nothing() -> None:
    assert not outcome(novelty_threshold=None).refused.any()
    assert outcome(novelty_threshold=None).rejection() == {"roc_auc": 1.0}
    assert outcome(novelty=None).rejection() == {}


def test_csv_can_be_read_back(tmp_path: Path) -> None:
    given = outcome()
    given.write_scores(tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [json.loads(row["truth"]) for row in rows] == [["cat, wild"], [r"Glöckchen\r"], ["truth"], []]
    assert [float(row["score:truth"]) for row in rows] == pytest.approx([0.1, 0.3, 0.7, 0.2])
    assert [row["start"] for row in rows] == ["", "1.5", "", ""]
    assert rows[1]["path"] == r"b \udcff.wav"
    assert "end" not in rows[0]


def test_parquet_can_be_read_back(tmp_path: Path) -> None:
    import pyarrow.parquet

    given = outcome()
    given.write_scores(tmp_path / "scores.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "scores.parquet")
    assert table.column("fold").to_pylist() == ["1", "2", "1", "2"]
    assert table.column("truth").to_pylist()[3] == []
    scores = np.stack([table.column(name).to_numpy() for name in table.column_names if name.startswith("score:")], 1)
    np.testing.assert_array_equal(scores, given.scores)
    assert json.loads(table.schema.metadata[b"earmark"])["metrics"]["accuracy"] == 1.0


def test_negatives_alone_can_be_written(tmp_path: Path) -> None:
    import pyarrow.parquet

    outcome(targets=np.zeros((4, 3))).to_parquet(tmp_path / "scores.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "scores.parquet")
    assert table.schema.field("truth").type == pyarrow.list_(pyarrow.string())


def test_what_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match=r"scores\.txt does not tell .* \.parquet or \.csv"):
        outcome().write_scores("scores.txt")
    with pytest.raises(OutputError, match="cannot write"):
        outcome().write_scores(tmp_path / "missing" / "scores.csv")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"earmark\[parquet\]"):
        check_scores_file("scores.parquet")
    check_scores_file("scores.csv")


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(OptionError, match="novelty has another length"):
        outcome(novelty=np.zeros(2, np.float32))
