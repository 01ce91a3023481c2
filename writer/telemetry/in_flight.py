"""What all loops of this writer hold together. State only."""

from writer.telemetry.observer import InHand


class InFlight:
    """Remembers the last report of each loop."""

    def __init__(self) -> None:
        self._held: dict[int, InHand] = {}

    def hold(self, loop: int, held: InHand | None) -> None:
        if held is None:
            self._held.pop(loop, None)
        else:
            self._held[loop] = held

    @property
    def messages(self) -> int:
        """Messages in flight."""
        return sum(held.messages for held in self._held.values())

    @property
    def changes(self) -> int:
        """Changes in them, as far as they have been read."""
        return sum(held.changes for held in self._held.values())

    def oldest(self, now: float) -> float:
        """Age in seconds of the oldest change; 0: there is none, or it has not been read yet."""
        times = [held.oldest for held in self._held.values() if held.oldest is not None]
        return max(0.0, now - min(times, default=now))
