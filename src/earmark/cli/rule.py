"""The decision rule that a command line asks for: the card's, or a file's, with single numbers changed."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.errors import CardError, OptionError

if TYPE_CHECKING:
    from earmark.model.card import DecisionRule


def decision_rule(card_rule: "DecisionRule", file: str | None, **changes: float | None) -> "DecisionRule":
    """Return the rule of a file, or else the card's, with every change that is not None.

    Where only one of the thresholds `on` and `off` is changed, to beyond the other, the other moves along.

    Raises
    ------
    OptionError
        If the file holds no rule, or the numbers contradict each other.
    """
    from earmark.inference.changedrule import changed_rule

    return changed_rule(_read(file) if file else card_rule, **changes)


def _read(file: str) -> "DecisionRule":
    from earmark.model.card import DecisionRule

    try:
        return DecisionRule.from_dict(json.loads(Path(file).read_text(encoding="utf-8")))
    except OSError as error:
        raise OptionError(f"--rule {file} cannot be read: {error.strerror}") from error
    except CardError as error:
        raise OptionError(f"--rule {file}: {error}") from error
    except ValueError as error:
        raise OptionError(f"--rule {file} is not JSON: {error}") from error
    except (TypeError, AttributeError) as error:
        raise OptionError(
            f"--rule {file} is not a decision rule: give a JSON object with numbers, as results have it under "
            "parameters.rule"
        ) from error
