"""The search for the strength of a penalty that leaves as much as is wanted."""

from __future__ import annotations

from dataclasses import dataclass

LARGEST, SMALLEST = 1e2, 1e-9  # λ of a search


@dataclass
class StrengthSearch:
    """The search for a λ that leaves as many transitions as wanted: which one to try next.

        too few left:  λ ← λ / g        too many left:  λ ← λ · g

    g starts at 2 and becomes (g + 1) / 2 whenever the direction turns. A try is accepted within
    ``tolerance`` of the goal, if anything is left. Source: the search behind Fig. 3 of Dodge et al.
    (2019), which the text does not describe.

    >>> search = StrengthSearch(goal=40, tolerance=10, max_tries=9, strength=1e-4)
    >>> [(search.update(left), round(search.strength, 6)) for left in (96, 96, 20, 43)]
    [('again', 0.0002), ('again', 0.0004), ('again', 0.000267), ('found', 0.000267)]
    """

    goal: int
    tolerance: int
    max_tries: int
    strength: float
    factor: float = 2.0
    direction: int = 0  # of the last step: 1 up, -1 down
    tries: int = 0

    def update(self, transitions: int) -> str:
        """Take in what a try left: ``found``, ``again`` (with the next λ set) or ``failed``."""
        self.tries += 1
        if transitions and abs(transitions - self.goal) <= self.tolerance:
            return "found"
        if self.tries >= self.max_tries:
            return "failed"
        direction = 1 if transitions > self.goal else -1
        if self.direction and direction != self.direction:
            self.factor = (self.factor + 1) / 2
        self.direction = direction
        following = self.strength * self.factor**direction
        if not SMALLEST <= following <= LARGEST:
            return "failed"
        self.strength = following
        return "again"
