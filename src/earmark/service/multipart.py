"""Forms with files, taken apart as they come: files go where they are told, fields are kept."""

import re
from collections.abc import Callable
from typing import Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from earmark.service.problems import RefusedError, refusal

__all__ = ["FileSink", "FormReader", "boundary_of"]

_FILE_NAME = re.compile(rb";\s*filename\*?\s*=", re.IGNORECASE)  # older clients write filename*=
_MOST_FIELDS, _MOST_FIELD_BYTES = 100, 1 << 16


class FileSink(Protocol):
    """Where the bytes of a file go."""

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        ...

    def close(self) -> None:
        """Take notice that there are no more."""
        ...


def boundary_of(content_type: str) -> bytes | None:
    """Return the boundary of a multipart form, or None if that is not what the content type says.

    Raises
    ------
    RefusedError
        For a form without one.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        return None
    if not options.get(b"boundary"):
        raise refusal("bad_form", "The content type of the form has no boundary.")
    return options[b"boundary"]


class FormReader:
    """A form of files and fields.

    A part is a file if it has a file name, or a content type other than text. Its name is not looked at.

    Parameters
    ----------
    boundary : bytes
        From the content type.
    open_file : callable
        Called at the beginning of each file with the content type that its part has; returns where it goes.

    Attributes
    ----------
    fields : list of (str, str)
        Names and values, in their order.
    """

    def __init__(self, boundary: bytes, open_file: Callable[[str], FileSink]) -> None:
        self.fields: list[tuple[str, str]] = []
        self._open_file = open_file
        self._sink: FileSink | None = None
        self._name, self._value = "", bytearray()
        self._field_bytes = 0
        self._header: dict[str, bytes] = {}
        self._header_name, self._header_value = bytearray(), bytearray()
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._take_header_name,
                    "on_header_value": self._take_header_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._open_part,
                    "on_part_data": self._take_data,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _bad_form(error) from error

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the form.

        Raises
        ------
        RefusedError
            If they are not what a form is made of.
        """
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _bad_form(error) from error

    def finish(self) -> None:
        """Take notice that there is no more; raise RefusedError if there should be."""
        if not self._ended:
            raise refusal("bad_form", "The form was cut off: its last boundary is missing.")

    def _begin_part(self) -> None:
        self._header = {}

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        self._header[self._header_name.decode("latin-1").lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _open_part(self) -> None:
        disposition = self._header.get("content-disposition", b"")
        media_type = self._header.get("content-type", b"").decode("latin-1")
        if _FILE_NAME.search(disposition) or (media_type and not media_type.startswith("text/")):
            self._sink = self._open_file(media_type)
            return
        if len(self.fields) >= _MOST_FIELDS:
            raise refusal("bad_form", f"The form has more than {_MOST_FIELDS} fields.")
        _, options = parse_options_header(disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        part = data[start:end]
        if self._sink is not None:
            self._sink.write(part)
            return
        self._field_bytes += len(part)
        if self._field_bytes > _MOST_FIELD_BYTES:
            raise refusal("bad_form", f"The fields of the form have more than {_MOST_FIELD_BYTES} bytes.")
        self._value += part

    def _end_part(self) -> None:
        if self._sink is not None:
            self._sink.close()
            self._sink = None
            return
        self.fields.append((self._name, self._value.decode("utf-8", "replace")))
        self._value.clear()

    def _end(self) -> None:
        self._ended = True


def _bad_form(error: Exception) -> RefusedError:
    return refusal("bad_form", f"The form cannot be read: {error}.")
