"""Settings: every mistake in one message, and the producer's own."""

from collections.abc import Mapping

import pytest

from producer_lambda.settings import Settings
from shared.errors import FatalError
from shared.settings import Reader

QUEUES = {"QUEUE_URL": "https://sqs/1/q.fifo", "DEAD_LETTER_QUEUE_URL": "https://sqs/1/d.fifo"}


def problems_of(environment: Mapping[str, str]) -> str:
    with pytest.raises(FatalError) as caught:
        Settings.read(environment)
    return str(caught.value)


def test_defaults() -> None:
    """Two queues are enough; blank values are no values."""
    expected = Settings(QUEUES["QUEUE_URL"], QUEUES["DEAD_LETTER_QUEUE_URL"], 64, frozenset(), "INFO")
    assert Settings.read(QUEUES) == expected
    blank = dict.fromkeys(("LANES", "OLD_IMAGE_FIELDS", "LOG_LEVEL"), " ")
    assert Settings.read(QUEUES | blank) == expected


def test_all_given() -> None:
    """Every setting is read, without the blanks around it."""
    settings = Settings.read(
        QUEUES | {"LANES": " 0 ", "OLD_IMAGE_FIELDS": "region, a.b,,region ,", "LOG_LEVEL": "debug"}
    )
    assert settings.lanes == 0
    assert settings.old_image_fields == {"region", "a.b"}
    assert settings.log_level == "DEBUG"
    assert settings.function_name is None
    assert Settings.read(QUEUES | {"AWS_LAMBDA_FUNCTION_NAME": "f"}).function_name == "f"


def test_every_mistake_is_named_at_once() -> None:
    """An operator mends all of them in one go, and sees which values are meant."""
    text = problems_of({"LANES": "many", "LOG_LEVEL": "loud", "QUEUE_URL": "https://sqs/1/standard"})
    for part in (
        "QUEUE_URL='https://sqs/1/standard' is not the URL of a FIFO queue",
        "DEAD_LETTER_QUEUE_URL is missing",
        "LANES='many' is not a whole number",
        "LOG_LEVEL='LOUD' is not one of DEBUG, INFO, WARNING, ERROR",
    ):
        assert part in text
    assert text.count(";") == 3  # and each of them once


@pytest.mark.parametrize("lanes", ["-1", "100001", "1.5", "1e3", "1_000", "\u0661", "9" * 5000])
def test_lanes_are_a_whole_number_within_bounds(lanes: str) -> None:
    """Nothing but decimal digits between the bounds is a number of lanes."""
    assert "LANES" in problems_of(QUEUES | {"LANES": lanes})


@pytest.mark.parametrize("lanes", [0, 1, 100_000])
def test_bounds_are_included(lanes: int) -> None:
    """The documented extremes can be set."""
    assert Settings.read(QUEUES | {"LANES": str(lanes)}).lanes == lanes


def test_a_reader_without_problems_finishes() -> None:
    """No mistake, no error; texts are trimmed, and what is absent is None."""
    reader = Reader({"A": " a "})
    assert reader.text("A", "a letter") == "a"
    assert reader.text("B", "a letter", default="b") == "b"
    assert reader.optional("C") is None
    assert reader.integer("D", 5, 0, 9) == 5
    reader.finish()


def test_a_missing_text_and_a_caller_s_problem() -> None:
    """A missing text says what it is for; what only the caller can see stands beside it."""
    reader = Reader({"A": "  "})
    assert reader.text("A", "the URL of the queue") == ""
    reader.problem("X is larger than Y")
    with pytest.raises(FatalError) as caught:
        reader.finish()
    assert str(caught.value) == "settings: A is missing: it is the URL of the queue; X is larger than Y"
