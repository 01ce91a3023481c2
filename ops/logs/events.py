"""Several log groups of CloudWatch Logs as one stream of events, sorted by time.

This is a k-way merge with one page of each group in memory: CloudWatch Logs sorts the events of a group by
time (API reference, FilterLogEvents).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops.aws import CHECK_WHERE, asking, code_of
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
        identity: tells it from others of its stream and time.
    """

    at: int
    group: str
    stream: str
    text: str
    identity: str = field(default="", compare=False)


def merged(logs: CloudWatchLogsClient, groups: Iterable[str], start: int, end: int) -> Iterator[Event]:
    """The events of all groups from `start` to `end`, both milliseconds since the epoch and included.

    Raises:
        CommandError: a group does not exist, or cannot be read.
    """
    streams = [events_of(logs, group, start, end) for group in groups]
    return heapq.merge(*streams, key=lambda event: event.at)


def events_of(logs: CloudWatchLogsClient, group: str, start: int, end: int) -> Iterator[Event]:
    """The events of one group, page by page."""
    token = ""
    newest: set[str] = set()
    while True:
        page, token = _page(logs, group, start, end, token)
        events = [event for event in page if event.identity not in newest]
        yield from events
        if token:
            continue
        if len(page) < PAGE:
            return
        # A full page without a token is of an emulator without paging: go on from the last time in it.
        if events:
            start = events[-1].at
            newest = {event.identity for event in page if event.at == start}
        else:
            start += 1


def _page(
    logs: CloudWatchLogsClient, group: str, start: int, end: int, token: str
) -> tuple[list[Event], str]:
    """Events, and the token of the next page; empty: there is none."""
    more: Any = {"nextToken": token} if token else {}
    try:
        with asking(f"reading the log group {group}"):
            answer = logs.filter_log_events(
                logGroupName=group, startTime=start, endTime=end, limit=PAGE, **more
            )
            page = [_read(group, each) for each in answer["events"]]
            following: object = answer.get("nextToken", "")
            if not isinstance(following, str):
                raise TypeError("no token")
    except CommandError as error:
        if code_of(error) == "ResourceNotFoundException":
            raise CommandError(f"there is no log group {group}{CHECK_WHERE}") from error
        raise
    return page, following


def _read(group: str, event: Mapping[str, Any]) -> Event:
    """Reads an event; raises any error if it has another form."""
    at, stream, message = event["timestamp"], event.get("logStreamName", ""), event["message"]
    if not (isinstance(at, int) and isinstance(stream, str)):
        raise TypeError("no event")
    identity = event.get("eventId") or f"{stream}\n{message}"
    return Event(at, group, stream, message.rstrip("\n"), str(identity))
