"""Pauses grow, stay bounded, and differ."""

from __future__ import annotations

from writer.runtime import Backoff


def test_pauses_grow_to_a_bound_with_jitter() -> None:
    """Quick at first, never more than five seconds, and not the same for every writer."""
    series = [[backoff.next() for _ in range(12)] for backoff in (Backoff() for _ in range(50))]
    for pauses in series:
        assert 0.05 <= pauses[0] <= 0.1
        assert all(0 < pause <= 5 for pause in pauses)
        assert all(pause >= 2.5 for pause in pauses[6:])
    assert len({pauses[0] for pauses in series}) > 40
