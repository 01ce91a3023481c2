"""What `replicator status` judges: well is only what was seen, and what was not seen is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ops.event_sources import EventSourceMapping
from ops.status.facts import Age, Figures, Progress, Queue, Status, Table, Writer, Writers
from ops.status.findings import Outcome, notes_of, outcome_of, problems_of, unknown_of
from ops.status.report import data_of

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def mapping(table: str, **changes: Any) -> EventSourceMapping:
    arn = f"arn:aws:dynamodb:us-east-1:123456789012:table/{table}/stream/1"
    return replace(EventSourceMapping("u-1", arn, "producer", "Enabled", LONG_AGO), **changes)


TABLE = Table(mapping("orders"), "NEW_AND_OLD_IMAGES")
ALIVE = Writer("http://a:8080", figures=Figures(12.5, 2))
RESTING = replace(ALIVE, figures=Figures(0, 0))
WELL = Status(
    at=1000.0,
    function="producer",
    tables=[TABLE, Table(mapping("people", last_result="No records processed"), "NEW_IMAGE")],
    iterator_age=Age(0.4),
    queue=Queue(3, 2, 0),
    oldest=Age(9.0),
    dead_letters=0,
    writers=Writers([ALIVE]),
)
FRESH = replace(
    WELL,
    iterator_age=Age(is_idle=True),
    queue=Queue(0, 0, 0),
    oldest=Age(why_unknown="nothing"),
    writers=Writers([RESTING]),
)
OLDER = (
    "1,234 changes of the table orders in the last 15 minutes came from an older stream than the data in "
    'MongoDB, and were discarded: see "Another stream" in docs/migration.md.'
)


def test_well() -> None:
    """Messages on the way are no problem, and a pipeline without changes can be well."""
    for status in (WELL, FRESH, replace(FRESH, oldest=Age(500.0))):  # of a minute ago: CloudWatch is late
        assert (problems_of(status, 60), unknown_of(status), notes_of(status)) == ([], [], [])
        assert outcome_of(status, 60) is Outcome.WELL
        assert data_of(status, 60)["well"] is True


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"iterator_age": Age(why_unknown="AWS refused it")},
            "How far behind the stream the Lambda is: AWS refused it.",
        ),
        ({"oldest": Age(why_unknown="no answer")}, "How long the oldest message has waited: no answer."),
        (
            {"function": "", "tables": []},
            (
                "Which tables are replicated, and whether their streams are being read: name the pipeline "
                "with "
                "--stack, or the Lambda with --function."
            ),
        ),
        (
            {"tables": [], "tables_unknown": "AWS refused it"},
            "Which tables are replicated, and whether their streams are being read: AWS refused it.",
        ),
        (
            {"tables": [replace(TABLE, stream_view="", why_unknown="AWS refused it")]},
            "Whether the stream of the table orders is on: AWS refused it.",
        ),
        (
            {"tables": [replace(TABLE, mapping=mapping("orders", last_result=""))]},
            "How the Lambda's last invocation for the table orders ended.",
        ),
        ({"writers": Writers(why_unknown="name MongoDB")}, "Which writers are running: name MongoDB."),
        ({"writers": Writers([ALIVE], why_unknown="no right")}, "Which other writers are running: no right."),
        (
            {"writers": Writers([replace(ALIVE, figures=None, why_unknown="HTTP status 404")])},
            "What the writer http://a:8080 is doing: HTTP status 404.",
        ),
        (
            {"writers": Writers([Writer("", host="box", why_unknown="it can be asked there only")])},
            "What the writer on box is doing: it can be asked there only.",
        ),
        (
            {"progress": Progress(None, 1.0)},
            (
                "Whether messages in flight are being finished: no writer reports any, and the queue's "
                "counts do not show it."
            ),
        ),
        (
            {"writers": Writers(), "queue": Queue(0, 0, 0)},
            "Whether a writer is running: none has a recent record in MongoDB, and no message is waiting.",
        ),
    ],
    ids=repr,
)
def test_what_is_not_known_is_named_and_is_not_well(change: dict[str, Any], sentence: str) -> None:
    """One sentence for each: nobody is woken for it, and nobody is told that all is well."""
    status = replace(WELL, **change)
    assert problems_of(status, 60) == []
    assert unknown_of(status) == [sentence]
    assert outcome_of(status, 60) is Outcome.NOT_KNOWN
    data = data_of(status, 60)
    assert (data["well"], data["unknown"]) == (None, [sentence])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dead_letters": 1}, "1 dead letter waits: see replicator dlq list."),
        ({"dead_letters": 1200}, "1,200 dead letters wait: see replicator dlq list."),
        ({"tables": []}, "The function producer reads no table: it has no event source mapping."),
        (
            {"tables": [replace(TABLE, mapping=mapping("orders", state="Disabled"))]},
            (
                "The event source mapping of the table orders is Disabled: aws lambda "
                "update-event-source-mapping --uuid u-1 --enabled, and wait until it is Enabled."
            ),
        ),
        (
            {"tables": [replace(TABLE, mapping=mapping("orders", filters=1))]},
            (
                "The event source mapping of the table orders has a filter, which drops changes: aws lambda "
                "update-event-source-mapping --uuid u-1 --filter-criteria '{\"Filters\":[]}'."
            ),
        ),
        (
            {"tables": [replace(TABLE, mapping=mapping("orders", last_result="PROBLEM: failed"))]},
            (
                "The Lambda's last invocation for the table orders failed (PROBLEM: failed): replicator logs "
                "shows why."
            ),
        ),
        (
            {"tables": [replace(TABLE, stream_view="off")]},
            (
                "The table orders has no stream: aws dynamodb update-table --table-name orders "
                "--stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES, then deploy "
                "deploy/pipeline.yaml with the stream's ARN."
            ),
        ),
        (
            {"tables": [replace(TABLE, stream_view="KEYS_ONLY")]},
            (
                "The stream of the table orders has the view type KEYS_ONLY, which has no new images: turn "
                "it off and on again with NEW_AND_OLD_IMAGES."
            ),
        ),
        (
            {"tables": [replace(TABLE, reads_latest_stream=False)]},
            (
                "The event source mapping of the table orders reads an old stream of the table: "
                "deploy deploy/pipeline.yaml with the new stream's ARN."
            ),
        ),
        (
            {"iterator_age": Age(61.0)},
            "The Lambda is 1m behind the stream, which keeps changes for only 24 hours.",
        ),
        ({"oldest": Age(7300.0)}, "The oldest message has waited for 2h: the writers are not keeping up."),
        (
            {"progress": Progress(seen=False, seconds=5.2)},
            (
                "2 messages are in flight, and none was finished in 5s: a writer holds them but writes "
                "nothing, and may be frozen."
            ),
        ),
        (
            {"writers": Writers()},
            "5 messages wait, and no writer is running: none has a recent record in MongoDB.",
        ),
        (
            {"writers": Writers([Writer("http://a:1", "Connection refused")])},
            "The writer http://a:1 does not answer: Connection refused.",
        ),
        (
            {"writers": Writers([Writer("http://a:1", "Connection refused", seen=988.0)])},
            "The writer http://a:1 does not answer: Connection refused; it was last seen 12s ago.",
        ),
        (
            {
                "writers": Writers(
                    [
                        replace(ALIVE, figures=Figures(1, 1, {"orders": 1_200})),
                        replace(ALIVE, figures=Figures(1, 1, {"orders": 34})),
                        ALIVE,
                    ]
                )
            },
            OLDER,
        ),
        (
            {"writers": Writers([replace(ALIVE, waits={"mongodb": ("no primary", 940.0)})])},
            "The writer http://a:8080 has been waiting for mongodb for 1m: no primary.",
        ),
    ],
    ids=repr,
)
def test_what_is_not_well(change: dict[str, Any], sentence: str) -> None:
    """One sentence for each, and it counts more than what is not known."""
    status = replace(WELL, **change)
    assert problems_of(status, 60) == [sentence]
    assert unknown_of(status) == []
    worse = replace(status, tables=[], tables_unknown="no right") if "tables" not in change else status
    assert outcome_of(worse, 60) is Outcome.NOT_WELL
    assert data_of(worse, 60)["well"] is False


def test_a_writer_that_waits_for_a_thousand_parts() -> None:
    """It does not fill the screen."""
    waits = {f"table {number}": ("no right", 940.0) for number in range(1000)}
    found = problems_of(replace(WELL, writers=Writers([replace(ALIVE, waits=waits)])), 60)
    assert len(found) == 11
    assert found[-1] == "The writer http://a:8080 is waiting for 990 more parts."


def test_what_a_person_should_know() -> None:
    """It is no problem: the exit status stays 0."""
    new = datetime.fromtimestamp(900, UTC)
    choices = mapping("orders", retries=3, failure_destination="arn:q", start="LATEST", changed=new)
    noted = replace(
        WELL,
        tables=[Table(choices, "NEW_IMAGE")],
        writers=Writers([ALIVE], [Writer("http://b:8080", "Connection refused", seen=1000 - 7300)]),
    )
    assert outcome_of(noted, 60) is Outcome.WELL
    assert [each.split(" ")[0] for each in notes_of(noted)] == ["After", "Orders:", "The"]
    assert notes_of(noted)[2] == (
        "The writer http://b:8080 stopped without signing off, and was last seen 2h ago."
    )


def test_a_backlog_longer_than_what_sqs_looks_through() -> None:
    """It need not be wrong; but lanes can wait for others then."""
    assert notes_of(replace(WELL, queue=Queue(119_998, 2, 0))) == []
    (note,) = notes_of(replace(WELL, queue=Queue(119_998, 2, 1)))
    assert note.startswith("120,001 messages wait. SQS looks for lanes in the oldest 120,000 only: ")


@pytest.mark.parametrize(
    ("iterator_age", "queue", "oldest", "behind"),
    [
        (Age(2.0), Queue(1, 0, 0), Age(5.0), 7.0),
        (Age(2.0), Queue(0, 0, 0), Age(), 2.0),
        (Age(is_idle=True), Queue(0, 0, 0), Age(), 0.0),
        (Age(2.0), Queue(0, 1, 0), Age(), None),
        (Age(), Queue(1, 0, 0), Age(5.0), None),
    ],
)
def test_behind_is_a_bound_or_unknown(
    iterator_age: Age, queue: Queue, oldest: Age, behind: float | None
) -> None:
    """The stages add up; an empty queue adds nothing; a stage that is not known makes the sum unknown."""
    assert replace(WELL, iterator_age=iterator_age, queue=queue, oldest=oldest).behind == behind
