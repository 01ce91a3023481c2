"""The distribution of many lags in little memory: a histogram with logarithmic bins. Pure."""

import math

_FINEST = 0.01  # seconds; less counts as this
_BINS_PER_DECADE = 20  # a quantile is at most 12 % too high
_BINS = 180  # up to four months; a change that is older counts as this old
_SCALE = _BINS_PER_DECADE / math.log(10)


class Histogram:
    """Counts changes by their lag."""

    def __init__(self) -> None:
        self._counts = [0] * _BINS
        self.changes = 0
        self.most = 0.0

    def add(self, seconds: float, changes: int) -> None:
        """Counts changes that were this old."""
        bin_ = int(math.log(max(seconds, _FINEST) / _FINEST) * _SCALE)
        self._counts[min(bin_, _BINS - 1)] += changes
        self.changes += changes
        self.most = max(self.most, seconds)

    def quantile(self, part: float) -> float | None:
        """The lag that this part of all changes (0.5: half of them) did not exceed; None: no changes."""
        if not self.changes:
            return None
        left = part * self.changes
        for number, count in enumerate(self._counts):
            left -= count
            if left <= 0:
                return min(self.most, _FINEST * math.exp((number + 1) / _SCALE))
        return self.most

    def clear(self) -> None:
        """Forgets everything."""
        self._counts = [0] * _BINS
        self.changes, self.most = 0, 0.0
