"""Several log groups of CloudWatch Logs as one stream of events, sorted by time.

This is a k-way merge with one page of each group in memory: CloudWatch Logs sorts the events of a group by
time (API reference, FilterLogEvents).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.aws import asking, code_of
from ops.console.exit_status import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from types_boto3_logs import CloudWatchLogsClient

PAGE = 10_000
"""The most events in one answer (API reference, FilterLogEvents: `limit`)."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a log.

    Attributes:
        at: milliseconds since the epoch.
        group: its log group.
        stream: its log stream.
        text: the line, without its end.
    """

    at: int
    group: str
    stream: str
    text: str


def merged(logs: CloudWatchLogsClient, groups: Iterable[str], start: int, end: int) -> Iterator[Event]:
    """The events of all groups from `start` to `end`, both milliseconds since the epoch and included.

    Raises:
        CommandError: a group does not exist, or cannot be read.
    """
    streams = [_events_of(logs, group, start, end) for group in groups]
    return heapq.merge(*streams, key=lambda event: event.at)


def _events_of(logs: CloudWatchLogsClient, group: str, start: int, end: int) -> Iterator[Event]:
    """The events of one group, page by page."""
    token: str | None = None
    newest: set[str] = set()
    while True:
        page = _page(logs, group, start, end, token)
        events = [each for each in page["events"] if _identity(each) not in newest]
        for each in events:
            yield Event(each["timestamp"], group, each.get("logStreamName", ""), each["message"].rstrip("\n"))
        token = page.get("nextToken")
        if token:
            continue
        if len(page["events"]) < PAGE:
            return
        # A full page without a token is of an emulator without paging: go on from the last time in it.
        if events:
            start = events[-1]["timestamp"]
            newest = {_identity(each) for each in page["events"] if each["timestamp"] == start}
        else:
            start += 1


def _identity(event: Mapping[str, Any]) -> str:
    return event.get("eventId") or f"{event.get('logStreamName')}\n{event['message']}"


def _page(
    logs: CloudWatchLogsClient, group: str, start: int, end: int, token: str | None
) -> Mapping[str, Any]:
    more: Any = {"nextToken": token} if token else {}
    try:
        with asking(f"reading the log group {group}"):
            return logs.filter_log_events(
                logGroupName=group, startTime=start, endTime=end, limit=PAGE, **more
            )
    except CommandError as error:
        if code_of(error) == "ResourceNotFoundException":
            raise CommandError(
                f"there is no log group {group}: check its name, and region and account"
            ) from error
        raise
