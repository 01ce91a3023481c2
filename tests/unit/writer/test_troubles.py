"""A place is in trouble until MongoDB takes a write of the kind that it refused there."""

from __future__ import annotations

from tests.support.builders import TABLE, delete, message, put
from tests.support.fake_clock import FakeClock
from tests.support.plans import plan
from writer.planning.acceptance import untried
from writer.planning.settle import Limits, settle
from writer.ports import Failure, FailureKind, Outcome
from writer.telemetry.health import Health
from writer.troubles import Troubles

NO_RIGHT = Failure(FailureKind.TRANSIENT, "13", "no right", of_place=True)
PLACE = ("", TABLE)
LIMITS = Limits(1000, 5)
PUTS = plan(message(put(1, 1), put(2, 2)))
DELETION = plan(message(delete(3, 3)))
ALL_REFUSED = Outcome({0: NO_RIGHT, 1: NO_RIGHT})


class World:
    """Where both puts were refused."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.health = Health(self.clock)
        self.troubles = Troubles(self.clock, self.health)
        self.troubles.note(PUTS, ALL_REFUSED, settle(PUTS, ALL_REFUSED, LIMITS), self.clock.time)


def test_only_what_was_refused_is_closed() -> None:
    """Deletions are tried, and end nothing; a put that is taken ends it."""
    world = World()
    assert [world.troubles.closed(write) for write in (*PUTS.writes, *DELETION.writes)] == [True, True, False]
    world.troubles.note(DELETION, Outcome(), settle(DELETION, Outcome(), LIMITS), world.clock.time)
    trouble = world.troubles.at(PLACE)
    assert trouble is not None
    assert not trouble.over.is_set()
    world.troubles.note(PUTS, Outcome(), settle(PUTS, Outcome(), LIMITS), world.clock.time)
    assert trouble.over.is_set()
    assert world.troubles.at(PLACE) is None
    assert world.health.tables == {}


def test_what_a_refusal_of_the_same_batch_contradicts_ends_nothing() -> None:
    """The user may insert and not update: that is one trouble, and not a new one with each batch."""
    world = World()
    trouble = world.troubles.at(PLACE)
    mixed = Outcome({0: NO_RIGHT})
    world.troubles.note(PUTS, mixed, settle(PUTS, mixed, LIMITS), world.clock.time)
    assert world.troubles.at(PLACE) is trouble


def test_an_answer_to_what_was_sent_before_says_nothing() -> None:
    """The right was there then."""
    world = World()
    world.troubles.note(PUTS, Outcome(), settle(PUTS, Outcome(), LIMITS), world.clock.time - 1)
    assert world.troubles.at(PLACE) is not None


def test_what_mongodb_answers_to_all_is_known_while_two_documents_are_refused() -> None:
    """One alone may be at fault itself."""
    world = World()
    assert world.troubles.answers == {((PLACE, True), "13")}
    world.troubles.forget(PLACE)
    one = Outcome({0: NO_RIGHT})
    alone = plan(message(put(1, 1)))
    world.troubles.note(alone, one, settle(alone, one, LIMITS), world.clock.time)
    assert world.troubles.at(PLACE) is not None
    assert world.troubles.answers == frozenset()


def test_what_waits_without_a_try_takes_all_changes_of_its_documents_with_it() -> None:
    """Also those that another message has, and what these have in common with others; no other message."""
    made = plan(
        message(put(1, 1)),
        message(put(2, 2), put(3, 3), number=1),
        message(put(4, 3), delete(5, 4), number=2),
        message(put(6, 1), number=3),
    )
    waiting = untried(made, lambda write: write.document is None)
    assert {place: [m.id for m in messages] for place, messages in waiting.items()} == {
        PLACE: ["message-1", "message-2"]
    }
    assert untried(made, lambda _: False) == {}
