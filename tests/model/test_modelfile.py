"""The one-file model: what goes in comes out, and a changed weight, graph or card is noticed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from earmark.errors import CardError, ModelFormatError, OutputError, VerificationError
from earmark.model.backends import load_backend
from earmark.model.card import CARD_KEY, Label
from earmark.model.modelfile import read_card, save
from earmark.model.verify import measure, signal, verify
from tests.tinymodel import LABELS, tiny_card, tiny_graph


def changed_copy(path: Path, folder: Path, change) -> Path:
    model = onnx.load(path)
    change(model)
    onnx.save(model, folder / "changed.onnx")
    return folder / "changed.onnx"


def nudge(index: int, by: float):
    """Return a change of one weight of the largest constant."""

    def change(model):
        tensor = max(model.graph.initializer, key=lambda item: len(item.raw_data))
        values = numpy_helper.to_array(tensor).copy()
        values.ravel()[index] += by
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    return change


def test_save_and_read(tiny_model):
    card = read_card(tiny_model)
    assert replace(card, test_vectors=(), sha256="") == tiny_card()
    assert [vector.signal for vector in card.test_vectors] == ["silence", "sine:440", "noise:7"]
    assert all(set(vector.outputs) == {"clip", "frames", "embeddings"} for vector in card.test_vectors)


def test_the_card_is_plain_metadata(tiny_model):
    entries = {entry.key: entry.value for entry in onnx.load(tiny_model).metadata_props}
    assert list(entries) == [CARD_KEY]


def test_verify_passes_as_saved(tiny_model):
    outcome = verify(tiny_model)
    assert outcome.passed
    assert outcome.largest < 1e-5
    assert outcome.unchanged
    assert outcome.to_dict()["differences"]["noise:7 clip"] < 1e-5


@pytest.mark.parametrize("by", [0.5, 1e-6])
def test_verify_fails_on_a_changed_weight(tiny_model, tmp_path, by):
    # 1e-6 is far below what any output shows; the digest of the weights tells.
    with pytest.raises(VerificationError, match=r"it was changed since it was made; outputs differ"):
        verify(changed_copy(tiny_model, tmp_path, nudge(1234, by)))


def test_verify_fails_on_a_changed_graph(tiny_model, tmp_path):
    def drop_the_root(model):
        next(node for node in model.graph.node if node.op_type == "Sigmoid").op_type = "Tanh"

    with pytest.raises(
        VerificationError, match=r"it was changed since it was made; outputs differ by 0.*, allowed 0.001,"
    ):
        verify(changed_copy(tiny_model, tmp_path, drop_the_root))


def test_verify_needs_test_vectors(tiny_model, tmp_path):
    def forget(model):
        model.metadata_props[0].value = tiny_card().to_json()

    with pytest.raises(CardError, match=r"model 'tiny' has no test vectors"):
        verify(changed_copy(tiny_model, tmp_path, forget))


def test_a_file_without_a_card(tiny_model, tmp_path):
    path = changed_copy(tiny_model, tmp_path, lambda model: model.ClearField("metadata_props"))
    with pytest.raises(CardError, match=r"changed.onnx has no model card"):
        read_card(path)


def test_card_and_graph_must_agree(tmp_path, rng):
    with pytest.raises(CardError, match=r"clip has shape \['batch', 5\], its card wants 6 numbers"):
        save(tiny_graph(rng), tiny_card(labels=(*LABELS, Label("/t/one", "One more"))), tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_a_graph_outside_the_contract(tmp_path, rng):
    graph = tiny_graph(rng)
    graph.graph.output[0].name = graph.graph.node[-1].output[0] = "klip"
    with pytest.raises(CardError, match=r"gives \['embeddings', 'frames', 'klip'\]; the contract is waveform in"):
        save(graph, tiny_card(), tmp_path / "x.onnx")


def test_a_folder_that_is_not_there(tmp_path, rng):
    with pytest.raises(OutputError, match=r"cannot write .*: No such file"):
        save(tiny_graph(rng), tiny_card(), tmp_path / "no" / "x.onnx")


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x09" * 50])
def test_files_that_are_no_models(tmp_path, content):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=r"broken.onnx cannot be loaded by ONNX Runtime"):
        load_backend(path)


def test_a_cut_file(tiny_model, tmp_path):
    path = tmp_path / "cut.onnx"
    path.write_bytes(tiny_model.read_bytes()[:-2000])
    with pytest.raises((ModelFormatError, CardError), match=r"cut\.onnx"):
        read_card(path)


def test_signals_are_what_they_say():
    assert not signal("silence", 10, 16_000).any()
    sine = signal("sine:440", 16_000, 16_000)
    assert np.abs(np.fft.rfft(sine)).argmax() == 440
    noise = signal("noise:7", 3, 16_000).astype(np.float64)
    states = [(1664525 * 7 + 1013904223) % 2**32]
    states.append((1664525 * states[0] + 1013904223) % 2**32)
    np.testing.assert_allclose(noise[:2], [0.5 * state / 2**32 - 0.25 for state in states], atol=1e-7)
    with pytest.raises(CardError, match=r"test signal 'hum' is not known"):
        signal("hum", 10, 16_000)


def test_verify_fails_on_a_changed_card(tiny_model, tmp_path):
    def swap_names(model):
        entry = model.metadata_props[0]
        entry.value = entry.value.replace("Tone", "Hush").replace("Silence", "Tone")

    with pytest.raises(VerificationError, match=r"it was changed since it was made"):
        verify(changed_copy(tiny_model, tmp_path, swap_names))


def test_verify_fails_on_outputs_that_are_no_numbers(tiny_model):
    backend = load_backend(tiny_model)
    outcome = replace(measure(backend), differences={"silence clip": 0.0, "silence frames": float("nan")})
    assert not outcome.passed


def test_embeddings_must_be_in_card_and_graph(tmp_path, rng):
    with pytest.raises(CardError, match=r"embeddings are in the card or in the graph, but not in both"):
        save(tiny_graph(rng), tiny_card(embedding_size=0), tmp_path / "x.onnx")


def test_saved_files_are_for_everyone(tiny_model):
    assert tiny_model.stat().st_mode & 0o777 == 0o644
