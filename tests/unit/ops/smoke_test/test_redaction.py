"""A report that people send: no account, no address, no secret, whatever an error's text holds."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.doctor.findings import Section, not_well
from ops.smoke_test.items import Step
from ops.smoke_test.redaction import redacted
from ops.smoke_test.report import SmokeReport, hosts_in

STAYS = (
    "The put of 3 items arrived in MongoDB after 1.2 seconds, at 2026-04-30 17:47 UTC",
    "These ring: replicator-QueueAgeAlarm-1AB2C3D4E5F6",
)
LINES = {
    "User: arn:aws:iam::123456789012:user/ann is not authorized": "User: ARN is not authorized",
    "on arn:aws:dynamodb:eu-west-1:123456789012:table/t, says AWS": "on ARN, says AWS",
    "queue https://sqs.eu-west-1.amazonaws.com/123456789012/q.fifo": "queue URL",
    "mongodb+srv://ann:hunter2@c0.abc.mongodb.net/?tls=true timed out": "URL timed out",
    "c0-shard-00-00.abc.mongodb.net:27017: connection refused": "HOST: connection refused",
    "10.0.0.5:27017 and [fd00::1]:27017 and 127.0.0.1": "HOST and HOST and HOST",
    "the key AKIAIOSFODNN7EXAMPLE": "the key ID",
    "mongo:27017 is away": "HOST is away",
    **{line: line for line in STAYS},
}


@pytest.mark.parametrize("line", LINES)
def test_what_goes_and_what_stays(line: str) -> None:
    """Names that the operator chose, times and figures stay."""
    assert redacted(line, hosts_in("mongodb://ann:pw@mongo:27017/")) == LINES[line]


@given(st.text(), st.from_regex(r"[0-9]{12}", fullmatch=True), st.text())
def test_no_account_id(before: str, account: str, after: str) -> None:
    """Wherever it stands."""
    assert not re.search(r"[0-9]{12}", redacted(before + account + after))


def test_every_line_of_a_report_is_cleaned() -> None:
    """Text and advice, in what is printed and in the JSON."""
    found = not_well("c", "the account 123456789012", "Ask mongo:27017 at 10.0.0.5:27017")
    sections, nothing = [Section("S", [found])], dict.fromkeys(Step)
    report = SmokeReport.of(sections, ["mongo:27017"], "r", datetime.now(UTC), nothing)
    (check,) = report.data()["checks"]
    assert (check["text"], check["advice"]) == ("the account ACCOUNT.", "Ask HOST at HOST")
    assert report.exit_status == 1
