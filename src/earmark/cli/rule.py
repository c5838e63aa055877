"""The decision rule that a command line asks for: the card's, or a file's, with single numbers changed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.errors import CardError, OptionError

if TYPE_CHECKING:
    from earmark.model.card import DecisionRule


def decision_rule(card_rule: "DecisionRule", file: str | None, **changes: float | None) -> "DecisionRule":
    """Return the rule of a file, or else the card's, with every change that is not None.

    Raises
    ------
    OptionError
        If the file holds no rule, or the numbers contradict each other.
    """
    given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    try:
        return replace(_read(file) if file else card_rule, **given)
    except CardError as error:
        raise OptionError(str(error)) from error


def _read(file: str) -> "DecisionRule":
    from earmark.model.card import DecisionRule

    try:
        data = json.loads(Path(file).read_text(encoding="utf-8"))
        return DecisionRule.from_dict(data)
    except OSError as error:
        raise OptionError(f"--rule {file} cannot be read: {error.strerror}") from error
    except CardError as error:
        raise OptionError(f"--rule {file}: {error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise OptionError(f"--rule {file} is not a decision rule in JSON: {error}") from error
