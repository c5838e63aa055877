"""Options that several commands share, as a dataclass with a field for each."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from inspect import Parameter
from typing import Any, get_type_hints


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Let a keyword parameter that is a dataclass stand for its fields.

    Typer then sees an option for each field, and the command gets one object. The fields are annotated as Typer wants
    it: ``Annotated[type, Option(...)]``.
    """
    signature = inspect.signature(command, eval_str=True)
    kinds: dict[str, Any] = {name: own.annotation for name, own in signature.parameters.items()}
    groups: dict[str, Any] = {name: kind for name, kind in kinds.items() if is_dataclass(kind)}
    shown = [
        parameter
        for name, own in signature.parameters.items()
        for parameter in (_options(groups[name]) if name in groups else (own,))
    ]

    @wraps(command)
    def grouped(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        command(**given)

    vars(grouped).pop("__wrapped__")  # or its annotations would be read
    vars(grouped)["__signature__"] = signature.replace(parameters=shown)
    grouped.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return grouped


def _options(group: Any) -> Iterator[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    for field in fields(group):
        default = Parameter.empty if field.default is MISSING else field.default
        yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=hints[field.name])
