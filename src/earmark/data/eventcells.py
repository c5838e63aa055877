"""The events of a clip in one cell of a list, as `Manifest.to_csv` writes them."""

import json
from pathlib import Path

from earmark.data.manifest import LabelledEvent
from earmark.data.tables import Row
from earmark.errors import ManifestError


def event_cell(path: Path, row: Row, heading: str) -> list[LabelledEvent]:
    """Return the events in a cell such as ``[["Dog", 0.5, 1.2]]``: label, onset and offset of each.

    Raises
    ------
    ManifestError
        If it holds anything else.
    """
    try:
        return [LabelledEvent(str(label), float(on), float(off)) for label, on, off in json.loads(row.cells[heading])]
    except (ValueError, TypeError) as error:
        raise ManifestError(
            f'line {row.line} of {path}: {heading} must be a JSON list such as [["Dog", 0.5, 1.2]]'
        ) from error
