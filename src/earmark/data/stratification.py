"""Stratification: sources divided among parts, each kept whole, so that every class is spread as it should be.

Iterative stratification (Sechidis, Tsoumakas, Vlahavas: On the stratification of multi-label data, 2011), of sources
instead of single clips, and with one rule more: a class reaches as many parts as its sources allow. One label a clip is
the plain case of several.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["stratify"]

Counts = NDArray[np.int64]


def stratify(counts: Counts, clips: Counts, shares: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Give each source to a part.

    The rarest class is placed first, its largest source first, each where the class is missed most.

    Parameters
    ----------
    counts : ndarray of int64, shape (sources, classes)
        Clips of each class in each source; every source has some.
    clips : ndarray of int64, shape (sources,)
        Clips in each source: fewer than its counts add up to, where a clip has several classes.
    shares : ndarray of float64, shape (parts,)
        What part of the clips each part should get; they sum to 1.
    rng : numpy.random.Generator
        Breaks ties.

    Returns
    -------
    ndarray of int64, shape (sources,)
        The part of each source. A class with one source lies in the first part. One with more lies in several wherever
        the classes' sources can be told apart, which is always so when no source has clips of two classes.
    """
    division = _Division(counts, clips, shares, rng)
    while (rarest := division.rarest()) is not None:
        for source in division.sources_of(rarest):
            division.place(source, rarest)
    return division.parts


class _Division:
    """Sources, of which some have a part already."""

    def __init__(self, counts: Counts, clips: Counts, shares: NDArray[np.float64], rng: np.random.Generator) -> None:
        self.parts = np.full(len(counts), -1, np.int64)
        self._counts, self._present, self._rng = counts, counts > 0, rng
        self._clips, self._shares = clips, shares
        self._wanted = shares[:, None] * counts.sum(axis=0)  # clips of each class that each part still lacks
        self._room = shares * clips.sum()
        self._reached = np.zeros(self._wanted.shape, bool)  # whether a part has a class
        self._left = self._present.sum(axis=0)  # sources of each class that have no part yet
        self._single = self._left == 1

    def rarest(self) -> int | None:
        """Return the class with the fewest sources left, or None when all are placed."""
        if not self._left.any():
            return None
        return int(np.where(self._left > 0, self._left, self._left.max() + 1).argmin())

    def sources_of(self, column: int) -> list[int]:
        """Return the sources of a class that have no part, the largest first, equal ones in random order."""
        sources = self._rng.permutation(np.flatnonzero(self._present[:, column] & (self.parts < 0)))
        return [int(source) for source in sources[np.argsort(-self._clips[sources], kind="stable")]]

    def place(self, source: int, column: int) -> None:
        """Give a source to the part that suits its classes and most misses the one in `column`."""
        keys = (
            self._rng.random(len(self._room)),
            self._excess(self._room, self._clips[source]),
            self._excess(self._wanted[:, column], self._counts[source, column]),
            self._objections(self._present[source]),
        )
        part = int(np.lexsort(keys)[0])  # the last key counts first
        self.parts[source] = part
        self._wanted[part] -= self._counts[source]
        self._room[part] -= self._clips[source]
        self._reached[part] |= self._present[source]
        self._left -= self._present[source]

    def _excess(self, wanted: NDArray[np.float64], given: int) -> NDArray[np.float64]:
        """Return by how much each part's chi-square (squared lack over share) would grow, but for a common factor."""
        return np.asarray(((given - 2.0 * wanted) / self._shares).round(6))  # rounded, so that ties are ties

    def _objections(self, present: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return how much speaks against each part, for a source with these classes.

        A class whose sources are running out must go where it is not yet. Worse is one that would end in one part only.
        """
        reached, left = self._reached[:, present], self._left[present]
        parts_with = reached.sum(axis=0)
        running_out = reached & (left <= len(reached) - parts_with)
        in_one_part = reached & (left == 1) & (parts_with == 1)
        astray = self._single[present] & (np.arange(len(reached)) > 0)[:, None]
        worse = int(present.sum()) + 1
        return np.asarray((running_out + worse * (in_one_part + astray)).sum(axis=1), np.int64)
