"""What all pages share that take sound in a browser: how it comes from a microphone, and by a file that is dropped."""

from importlib.resources import files
from importlib.resources.abc import Traversable


def page_files(folder: Traversable) -> dict[str, Traversable]:
    """Return a page's own files and those that it shares with others, by name; a page lies flat."""
    shared = files("earmark.audio").joinpath("browser")
    found = [item for place in (shared, folder) for item in place.iterdir() if item.is_file()]
    return {item.name: item for item in found if not item.name.endswith((".py", ".pyc"))}
