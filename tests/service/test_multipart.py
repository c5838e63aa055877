"""Forms, taken apart as they come: the same however they are cut."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.service.multipart import FormReader, boundary_of
from earmark.service.problems import RefusedError
from tests.service.sounds import form_of


class Sink:
    def __init__(self, media_type: str) -> None:
        self.media_type = media_type
        self.data = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.data += data

    def close(self) -> None:
        self.closed = True


def read(form: bytes, content_type: str, cuts: list[int]) -> tuple[list[Sink], list[tuple[str, str]]]:
    boundary = boundary_of(content_type)
    assert boundary is not None
    sinks: list[Sink] = []

    def open_file(media_type: str) -> Sink:
        sinks.append(Sink(media_type))
        return sinks[-1]

    reader = FormReader(boundary, open_file)
    edges = [0, *sorted(cut % (len(form) + 1) for cut in cuts), len(form)]
    for begin, end in pairwise(edges):
        reader.feed(form[begin:end])
    reader.finish()
    assert all(sink.closed for sink in sinks)
    return sinks, reader.fields


FILES = st.lists(st.one_of(st.binary(max_size=300), st.sampled_from([b"\r\n--xy", b"--xyz", b"\r\n\r\n", b"-" * 40])))
VALUES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\n"), max_size=20)
NAMES = st.text("abc_", min_size=1, max_size=5)


@given(files=FILES, fields=st.dictionaries(NAMES, VALUES), cuts=st.lists(st.integers(0, 10_000), max_size=8))
def test_files_and_fields_come_out_as_they_went_in(files: list[bytes], fields: dict[str, str], cuts: list[int]) -> None:
    if any(b"\r\n--xyz" in b"\r\n" + data for data in files) or any("--xyz" in value for value in fields.values()):
        return  # no client writes a form whose boundary is in it
    sinks, read_fields = read(*form_of(*files, fields=fields), cuts)
    assert [sink.data for sink in sinks] == files
    assert read_fields == list(fields.items())


@given(data=st.binary(max_size=400))
def test_anything_is_a_form_or_is_refused(data: bytes) -> None:
    reader = FormReader(b"x", Sink)
    with suppress(RefusedError):
        reader.feed(b"--x\r\n" + data)
        reader.finish()


@pytest.mark.parametrize(
    ("header", "is_file"),
    [
        ('form-data; name="audio"; filename="a.wav"', True),
        ('form-data; name="audio"; filename=""', True),
        ("form-data; name=audio; filename*=UTF-8''%e2%82%ac.wav", True),
        ('form-data; name="audio"', False),
        ("form-data", False),
    ],
)
def test_what_is_a_file(header: str, is_file: bool) -> None:
    form = f"--x\r\nContent-Disposition: {header}\r\n\r\nvalue\r\n--x--\r\n".encode()
    sinks, fields = read(form, "multipart/form-data; boundary=x", [])
    assert (len(sinks), len(fields)) == ((1, 0) if is_file else (0, 1))


def test_a_part_with_a_sound_s_content_type_is_a_file() -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="audio"\r\nContent-Type: audio/wav\r\n\r\nvalue\r\n--x--\r\n'
    (sink,), fields = read(form, "multipart/form-data; boundary=x", [])
    assert (sink.data, sink.media_type, fields) == (b"value", "audio/wav", [])


@pytest.mark.parametrize("media_type", ["", "audio/wav", "multipart/mixed; boundary=x", "application/json"])
def test_other_content_types_are_no_form(media_type: str) -> None:
    assert boundary_of(media_type) is None
