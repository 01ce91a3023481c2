"""How the commands look: as in tests/unit/ops/snapshots, on terminals of 80 and 120 columns and in a pipe."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ops.console.terminal import Output
from ops.doctor.findings import Report, Section, not_well, unknown, well
from ops.doctor.view import print_report
from ops.event_sources import EventSourceMapping
from ops.logs.entries import line_of
from ops.logs.events import Event
from ops.queues.dead_letters import letter_of
from ops.queues.peek import print_message
from ops.queues.view import print_letter, print_rows, row_of
from ops.smoke_test.diagnosis import Places, late
from ops.smoke_test.items import Step
from ops.smoke_test.report import SmokeReport
from ops.status.facts import Age, Figures, Progress, Queue, Status, Table, Writer, Writers
from ops.status.view import print_status
from tests.support.builders import body_of, delete, put
from tests.support.commands import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.queues.dead_letters import Letter

SNAPSHOTS = Path(__file__).parent / "snapshots"
NOW = 1588268842.0
WIDE = "customer#\u4e16\u754c\u4e16\u754c"  # characters of two columns
LONG_REASON = (
    "Document failed validation: the field total is required, of type decimal, and the document lacks it"
)


def letter(number: int, body: str, **attributes: str) -> Letter:
    moment = round((NOW - 10**number) * 1000)
    message: Any = {
        "MessageId": f"{number}f2a91bc-5d1e-4c54-9a6b-0c7f6a1d2e3f",
        "ReceiptHandle": "r",
        "Body": body,
        "Attributes": {
            "SentTimestamp": str(moment),
            "ApproximateReceiveCount": str(number),
            "MessageGroupId": "orders/5",
        },
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()
        },
    }
    if not attributes:
        message["Attributes"]["DeadLetterQueueSourceArn"] = "arn:aws:sqs:us-east-1:1:queue.fifo"
    return letter_of(message)


SEQUENCE = 5123400000000006390906141
LETTERS = [
    letter(
        1,
        body_of(put(SEQUENCE, 3, table="orders", name=WIDE, tags=["a", None], nested={"deep": {"er": 1}})),
        code="bad-conversion",
        reason="field 'created_at': a text is not a number",
        group="orders/5",
        message_id="8a2e0b50-cf7b-4d3a-8a59-0f4f0a6d7e11",
    ),
    letter(
        3,
        body_of(put(SEQUENCE, {"customer": WIDE, "number": 12345}, table="orders-of-the-whole-year-2020")),
        code="mongodb-121",
        reason=LONG_REASON,
    ),
    letter(5, body_of(put(1), put(2, 2), delete(3, 3))),
    letter(6, '{"not": "an envelope", "but": "\u009b31m"}', code="bad-envelope", reason="no list of changes"),
]


def mapping(table: str, **changes: Any) -> EventSourceMapping:
    arn = f"arn:aws:dynamodb:us-east-1:123456789012:table/{table}/stream/2020-01-01T00:00:00.000"
    made = datetime(2020, 1, 1, tzinfo=UTC)
    identity = "91b1d2f3-7a0c-4f4e-9a51-0d6a7c1b2e3f"
    return replace(EventSourceMapping(identity, arn, "f", "Enabled", made), **changes)


STATUS = Status(
    at=NOW,
    function="replicator-Producer-8D5739594EA3E",
    tables=[
        Table(
            mapping("orders-of-the-whole-year-2020", last_result="No records processed"),
            "NEW_AND_OLD_IMAGES",
        ),
        Table(
            mapping(
                "people",
                state="Disabled",
                last_result="PROBLEM: Function call failed",
                reports_failures=False,
            ),
            "KEYS_ONLY",
        ),
        Table(mapping("secret", last_result=""), "", "looking at the table secret: AWS refused it"),
    ],
    iterator_age=Age(90.0),
    queue=Queue(12345, 40, 0),
    oldest=Age(7300.0),
    dead_letters=3,
    writers=Writers(
        [
            Writer("http://10.0.0.5:8080", figures=Figures(234.5, 40)),
            Writer(
                "http://10.0.0.6:8080",
                waits={"mongodb": ("no primary was found in the replica set", NOW - 300)},
                figures=Figures(0, 0),
            ),
            Writer("http://10.0.0.7:8080", "Connection refused", seen=NOW - 70),
        ],
        [Writer("http://10.0.0.8:8080", "Connection refused", seen=NOW - 7300)],
    ),
    progress=Progress(seen=False, seconds=5.0),
)
UNKNOWN = Status(
    NOW, "", [], Age(), Queue(0, 0, 0), Age(), 0, Writers(why_unknown="name MongoDB with --mongodb-uri")
)
IDLE = Status(
    at=NOW,
    function="replicator-Producer-8D5739594EA3E",
    tables=[Table(mapping("orders"), "NEW_IMAGE")],
    iterator_age=Age(is_idle=True),
    queue=Queue(0, 0, 0),
    oldest=Age(),
    dead_letters=0,
    writers=Writers([Writer("http://10.0.0.5:8080", figures=Figures(0, 0))]),
)
REPORT = Report(
    [
        Section(
            "AWS",
            [
                well(
                    "aws-credentials",
                    "The AWS credentials belong to arn:aws:sts::123456789012:assumed-role/Operator/ann; "
                    "the region is eu-west-1.",
                )
            ],
        ),
        Section("Tables", []),
        Section(
            "Queues",
            [
                not_well(
                    "queue-retention",
                    "The queue keeps messages for only 4 days: older ones are lost.",
                    "Run aws sqs set-queue-attributes --queue-url "
                    "https://sqs.eu-west-1.amazonaws.com/123456789012/replicator-bde64730.fifo --attributes "
                    "MessageRetentionPeriod=1209600",
                ),
                not_well(
                    "dead-letters", "There are about 3 dead letters.", "Look at them: replicator dlq list."
                ),
            ],
        ),
        Section(
            "Mapping",
            [
                unknown(
                    "mapping",
                    "Cannot check the mapping: no file is given.",
                    "Give --replication-file (REPLICATION_FILE): the file that the writers use.",
                )
            ],
        ),
    ]
)
LOG = [
    (0, "/aws/lambda/f", "START RequestId: e5618c2b-e15f-40e9-b012-d78ac4a44e73 Version: $LATEST"),
    (
        119,
        "/aws/lambda/f",
        '{"level":"INFO","logger":"l","message":"event forwarded","records":3,"bytes":810}',
    ),
    (
        250,
        "writers",
        '{"level":"WARNING","logger":"w","message":"waiting for a server","reason":"no primary"}',
    ),
    (
        300,
        "writers",
        '{"level":"ERROR","message":"broken","error":"Traceback (most recent call last):\\n  x"}',
    ),
]


def listing() -> None:
    print_rows([row_of(each, NOW) for each in LETTERS])


def letters() -> None:
    for each in LETTERS:
        print_letter(each, NOW)
        Output().line("=" * 20)


def peek() -> None:
    for each in LETTERS:
        Output().line()
        print_message(each, 10, NOW, documents=False)


def peek_with_documents() -> None:
    print_message(LETTERS[0], 10, NOW, documents=True)


def status() -> None:
    print_status(Output(), STATUS, 60)


def status_of_what_is_known() -> None:
    print_status(Output(), UNKNOWN, 60)


def status_of_a_pipeline_that_rests() -> None:
    print_status(Output(), IDLE, 60)


def doctor() -> None:
    print_report(Output(), REPORT)


def doctor_of_what_is_well() -> None:
    print_report(Output(), Report(REPORT.sections[:1]))


def smoke_test() -> None:
    arrived = well("arrival", "The put of 3 items arrived in MongoDB after 1.4 seconds")
    places = Places(visible=3, in_flight=0, writers=0, target="shop.replicator-smoke-test")
    found = Report([Section("Changes", [arrived, late(Step.CHANGE, 120, places)])])
    seconds = {Step.PUT: 1.4, Step.CHANGE: None, Step.DELETE: None}
    started = datetime.fromtimestamp(NOW, UTC)
    SmokeReport(found, "eu-west-1", started, seconds, "replicator 0.1.0").print(Output())


def logs() -> None:
    for after, group, text in LOG:
        event = Event(round(NOW * 1000) + after, group, "s", text)
        source = "lambda" if group.startswith("/") else group
        Output().print(line_of(event, source, 7))


LOOKS: list[Callable[[], None]] = [
    listing,
    letters,
    peek,
    peek_with_documents,
    status,
    status_of_what_is_known,
    doctor,
    doctor_of_what_is_well,
    smoke_test,
    status_of_a_pipeline_that_rests,
    logs,
]


@pytest.mark.parametrize("columns", ["80", "120", "pipe"])
@pytest.mark.parametrize("look", LOOKS, ids=[look.__name__ for look in LOOKS])
def test_looks(
    look: Callable[[], None],
    columns: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As it is in the file: nothing is wider than the terminal, and in a pipe nothing is cut or coloured."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    if columns != "pipe":
        monkeypatch.setenv("FORCE_COLOR", "1")  # for rich, standard output is a terminal now
        monkeypatch.setenv("COLUMNS", columns)
    look()
    printed = capsys.readouterr().out
    assert ("\x1b[" in printed) is (columns != "pipe")
    text = plain(printed)
    file = SNAPSHOTS / f"{look.__name__}.{columns}.txt"
    if os.environ.get("SNAPSHOTS") == "write":
        file.write_text(text)
    assert text == file.read_text()
