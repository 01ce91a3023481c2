"""A queue that answers at once without messages is asked again with growing pauses, and then not believed."""

from __future__ import annotations

from writer.sqs.empty_answers import EmptyAnswers


def pauses(answers: EmptyAnswers, now: float) -> list[float]:
    found: list[float] = []
    while (pause := answers.pause(now)) is not None:
        found.append(pause)
        now += pause
    return found


def test_pauses_grow_and_end() -> None:
    """From a tenth of a second, each about twice as long; then it is nonsense until SQS is back."""
    answers = EmptyAnswers()
    found = pauses(answers, 0.0)
    assert all(0.05 * 2**number <= pause <= 0.1 * 2**number for number, pause in enumerate(found))
    assert len(found) == 5
    assert answers.pause(1000.0) is None
    answers.well()
    assert answers.pause(1000.0) is not None
    assert len(pauses(answers, 2000.0)) == 4


def test_many_loops_are_one() -> None:
    """All loops meet the same thing at the same time: their pauses do not add up."""
    answers = EmptyAnswers()
    assert len({answers.pause(0.0) for _ in range(16)}) == 1
    assert len(pauses(answers, 1.0)) == 4
