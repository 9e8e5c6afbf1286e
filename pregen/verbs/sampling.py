"""Samples of what comes one after the other, of unknown number, in little memory."""

from __future__ import annotations

import random
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Reservoir(Generic[_T]):
    """Keeps up to `size` of the values it is given, each with the same chance.

    Reservoir sampling (Vitter's algorithm R). The same values give the same sample.
    """

    def __init__(self, size: int) -> None:
        self.kept: list[_T] = []
        self.seen = 0
        """How many values came."""
        self._size = size
        self._random = random.Random(0)  # noqa: S311 - no secret

    def add(self, value: _T) -> None:
        """Keep a value, or pass it over."""
        self.seen += 1
        if len(self.kept) < self._size:
            self.kept.append(value)
        elif (place := self._random.randrange(self.seen)) < self._size:
            self.kept[place] = value
