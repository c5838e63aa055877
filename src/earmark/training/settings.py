"""Settings of a recipe or a run held against their types: options come from a command line, where all is text."""

from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from earmark.errors import OptionError

_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    NoneType: "null",
    Mapping: 'names and values such as {"width": 64}',
}


def require_settings(kind: Any, settings: Mapping[str, Any], owner: str) -> None:
    """Refuse settings that a dataclass does not have, or whose values are of another type.

    Parameters
    ----------
    kind : type
        The dataclass.
    settings : Mapping of str to Any
        Values by name.
    owner : str
        What messages say has the settings, such as ``recipe 'head'``.

    Raises
    ------
    OptionError
        For the first that is wrong.
    """
    known = {field.name for field in fields(kind)}
    hints = get_type_hints(kind)
    for name, value in sorted(settings.items()):
        if name not in known:
            raise OptionError(f"{owner} has no setting {name!r}; it has: {', '.join(sorted(known))}")
        if not _fits(value, hints[name]):
            raise OptionError(f"{name}={value!r} is not allowed for {owner}: give {_allowed(hints[name])}")


def _fits(value: Any, hint: Any) -> bool:
    origin = get_origin(hint) or hint
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in get_args(hint))
    if origin is Literal:
        return value in get_args(hint)
    if isinstance(value, bool) or hint is Any:
        return hint in (bool, Any)
    return isinstance(value, int | float if origin is float else origin)


def _allowed(hint: Any) -> str:
    """Return the values of a type in words."""
    origin = get_origin(hint) or hint
    if origin in (Union, UnionType):
        return " or ".join(_allowed(part) for part in get_args(hint))
    if origin is Literal:
        return ", ".join(map(str, get_args(hint)))
    return _WORDS.get(origin, getattr(origin, "__name__", str(origin)))
