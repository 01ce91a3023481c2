"""What `replicator status` judges: each thing that is not well is a sentence, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ops.status.facts import Queue, Status, Table, Writer

TABLE = Table("orders", "NEW_AND_OLD_IMAGES", "Enabled", "OK")
WELL = Status(
    at=1000.0,
    function="producer",
    tables=[TABLE, Table("people", "NEW_IMAGE", "Enabled", "No records processed")],
    iterator_age=0.4,
    queue=Queue(3, 2, 0),
    oldest=9.0,
    dead_letters=0,
    writers=[Writer("http://a:8080")],
)
OLDER = (
    "1,234 changes of the table orders in the last 15 minutes came from an older stream than what is in "
    'MongoDB, and did not win: see "Another stream" in docs/migration.md.'
)


def test_well() -> None:
    """Messages on the way are no problem."""
    assert WELL.problems(60) == []
    assert WELL.data(60)["well"] is True


@pytest.mark.parametrize(
    "unknown",
    [
        {"iterator_age": None, "oldest": None},
        {"function": "", "tables": []},
        {"writers": []},
        {"tables": [Table("orders", "", "Enabled", "")]},
        {"queue": Queue(0, 0, 0), "oldest": 500.0},  # of a minute ago: CloudWatch is late
    ],
)
def test_what_is_not_known_is_no_problem(unknown: dict[str, Any]) -> None:
    """Nobody is woken for a permission that is missing."""
    assert replace(WELL, **unknown).problems(60) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dead_letters": 1}, "1 dead letter waits: see replicator dlq list."),
        ({"dead_letters": 1200}, "1,200 dead letters wait: see replicator dlq list."),
        ({"tables": []}, "The function producer reads no table: it has no event source mapping."),
        (
            {"tables": [replace(TABLE, mapping="Disabled")]},
            "The event source mapping of the table orders is Disabled.",
        ),
        (
            {"tables": [replace(TABLE, last_result="PROBLEM: Function call failed")]},
            "The Lambda's last invocation for the table orders failed: PROBLEM: Function call failed.",
        ),
        ({"tables": [replace(TABLE, stream_view="off")]}, "The table orders has no stream."),
        (
            {"tables": [replace(TABLE, stream_view="KEYS_ONLY")]},
            "The stream of the table orders has no new images: it is KEYS_ONLY.",
        ),
        (
            {"tables": [replace(TABLE, reads_latest_stream=False)]},
            "The event source mapping of the table orders reads a stream that the table no longer has.",
        ),
        (
            {"iterator_age": 61.0},
            "The Lambda is 1m behind the stream, which forgets after a day.",
        ),
        ({"oldest": 7300.0}, "The oldest message has waited for 2h: the writers do not keep up."),
        (
            {"writers": [Writer("http://a:1", "Connection refused")]},
            "The writer http://a:1 does not answer: Connection refused.",
        ),
        (
            {
                "writers": [
                    Writer("http://a:1", older_streams={"orders": 1_200}),
                    Writer("http://b:1", older_streams={"orders": 34}),
                    Writer("http://c:1"),
                ]
            },
            OLDER,
        ),
        (
            {"writers": [Writer("http://a:1", waits={"mongodb": ("no primary", 940.0)})]},
            "The writer http://a:1 has waited for mongodb for 1m: no primary.",
        ),
    ],
)
def test_what_is_not_well(change: dict[str, Any], sentence: str) -> None:
    """One sentence for each."""
    assert replace(WELL, **change).problems(60) == [sentence]


@pytest.mark.parametrize(
    ("iterator_age", "queue", "oldest", "behind"),
    [
        (2.0, Queue(1, 0, 0), 5.0, 7.0),
        (2.0, Queue(0, 0, 0), None, 2.0),
        (2.0, Queue(0, 1, 0), None, None),
        (None, Queue(1, 0, 0), 5.0, None),
    ],
)
def test_behind_is_a_bound_or_unknown(
    iterator_age: float | None, queue: Queue, oldest: float | None, behind: float | None
) -> None:
    """The stages add up; an empty queue adds nothing; a stage that is not known makes the sum unknown."""
    assert replace(WELL, iterator_age=iterator_age, queue=queue, oldest=oldest).behind == behind
