"""The labels of data beside those of a model: which column is which."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.errors import LabelError
from earmark.model.card import ModelCard

_LISTED = 10


@dataclass(frozen=True, slots=True)
class LabelMatch:
    """Which labels are measured, and where they are on both sides.

    Parameters
    ----------
    names : tuple of str
        The columns of targets and scores. Of a single-label model they are all of its labels, for each may be a wrong
        answer; of a multi-label model those that the data has.
    model_columns : ndarray of int
        Their places among the model's labels.
    data_columns : ndarray of int
        Their places among the data's labels; -1 for one that the data does not have.
    unknown : tuple of str
        Labels of the data that the model does not have.
    spare : int
        Labels of the model that the data does not have.
    """

    names: tuple[str, ...]
    model_columns: NDArray[np.intp]
    data_columns: NDArray[np.intp]
    unknown: tuple[str, ...]
    spare: int

    def targets(self, of_data: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return targets in these columns, from targets in the data's: shape (clips, names)."""
        columns = np.concatenate([of_data, np.zeros((len(of_data), 1), np.float32)], axis=1)
        targets: NDArray[np.float32] = columns[:, self.data_columns]  # -1 is the column of zeros
        return targets


def match_labels(
    card: ModelCard, labels: Sequence[str], *, allow_unknown: bool = False, otherwise: str = "leave their clips out"
) -> LabelMatch:
    """Find the labels of data among those of a model, by id, by name, or by name in another case.

    Parameters
    ----------
    card : ModelCard
        The model's.
    labels : sequence of str
        The data's.
    allow_unknown : bool
        Whether the data may have labels that the model does not have.
    otherwise : str
        What an error says can be done with such labels, if they are not misspelt.

    Raises
    ------
    LabelError
        If the model lacks one and that is not allowed, lacks all of them, or two mean the same one.
    """
    places = [_place(card, label) for label in labels]
    unknown = tuple(label for label, place in zip(labels, places, strict=True) if place is None)
    if unknown and (not allow_unknown or len(unknown) == len(labels)):
        raise LabelError(_lacks(card, unknown, otherwise))
    found = {place: column for column, place in enumerate(places) if place is not None}
    twice = [
        label for column, label in enumerate(labels) if places[column] is not None and column not in found.values()
    ]
    if twice:
        raise LabelError(
            f"{twice[0]!r} and another label of the data mean the same one of {card.name!r}: give one name"
        )
    used = range(len(card.labels)) if card.task == "single-label" else sorted(found)
    return LabelMatch(
        names=tuple(labels[found[place]] if place in found else card.labels[place].name for place in used),
        model_columns=np.array(used, np.intp),
        data_columns=np.array([found.get(place, -1) for place in used], np.intp),
        unknown=unknown,
        spare=len(card.labels) - len(found),
    )


def _place(card: ModelCard, label: str) -> int | None:
    """Return which label of the model is meant; an exact match goes before one in another case."""
    wanted = label.strip()
    for same in (lambda own: wanted in (own.id, own.name), lambda own: wanted.casefold() == own.name.casefold()):
        places = [place for place, own in enumerate(card.labels) if same(own)]
        if len(places) == 1:
            return places[0]
    return None


def _lacks(card: ModelCard, unknown: Sequence[str], otherwise: str) -> str:
    more = f" and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
    listed = ", ".join(map(repr, unknown[:_LISTED])) + more
    many = "1 label" if len(unknown) == 1 else f"{len(unknown)} labels"
    return (
        f"model {card.name!r} does not have {many} of the data: {listed}; rename them as `earmark models info MODEL "
        f"--labels` lists them, or {otherwise}"
    )
