"""JSON: one document, or one object per line; both are `to_dict` of the results as it stands."""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, TextIO

from earmark.inference.formats.frames import iterate_frames, without_frames
from earmark.inference.results import EmbeddingResult, Failure, Result, TimelineResult


@dataclass(frozen=True, slots=True)
class _Layout:
    """What stands before a key, before an item of a list, and before the closing brace."""

    key: str = ""
    item: str = ""
    end: str = ""


_ONE_LINE = _Layout()
_PRETTY = _Layout(key="\n  ", item="\n    ", end="\n")


def write_jsonl(results: Iterable[Result | Failure], stream: TextIO) -> None:
    """Write one object per line."""
    for result in results:
        _write_object(result, stream, _ONE_LINE)
        stream.write("\n")


def write_json(results: Iterable[Result | Failure], stream: TextIO) -> None:
    """Write one document: an object for one result, an array for none or several; each item of a list has a line."""
    results = iter(results)
    first = list(islice(results, 2))
    if len(first) == 1:
        _write_object(first[0], stream, _PRETTY)
        stream.write("\n")
        return
    before = "["
    for result in chain(first, results):
        stream.write(before + "\n")
        _write_object(result, stream, _PRETTY)
        before = ","
    stream.write("\n]\n" if first else "[]\n")


def _write_object(result: Result | Failure, stream: TextIO, layout: _Layout) -> None:
    encoding = stream.encoding or "utf-8"
    before = "{" + layout.key
    for key, value in _content(result).items():
        stream.write(f"{before}{dump(key, encoding)}: ")
        if isinstance(value, list | Iterator):
            _write_list(value, stream, layout, encoding)
        else:
            stream.write(dump(value, encoding))
        before = "," + (layout.key or " ")
    stream.write(layout.end + "}")


def _write_list(items: Iterable[Any], stream: TextIO, layout: _Layout, encoding: str) -> None:
    before = "[" + layout.item
    empty = True
    for item in items:
        stream.write(before + dump(item, encoding))
        before = "," + (layout.item or " ")
        empty = False
    stream.write("[]" if empty else layout.key + "]")


def _content(result: Result | Failure) -> dict[str, Any]:
    """Return `to_dict` of the result; its frames, where it has any, are still to be made."""
    if isinstance(result, TimelineResult | EmbeddingResult):
        return without_frames(result) | {"frames": iterate_frames(result)}
    return result.to_dict()


def dump(value: Any, encoding: str) -> str:
    r"""Return one line of JSON; what the encoding lacks, such as half a UTF-8 name, is escaped as ``\uXXXX``."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(value)
    except ValueError:
        return dump(_finite(value), encoding)
    return text


def _finite(value: Any) -> Any:
    """Return the value with null for every number that JSON has no word for."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
