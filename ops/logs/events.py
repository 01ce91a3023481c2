"""Several log groups of CloudWatch Logs as one stream of events, in the order of their times.

A k-way merge: of each group one page is in memory. Within a group CloudWatch Logs sorts by time (API
reference, FilterLogEvents).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.aws import asking, code_of
from ops.console.exit_status import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ops.aws import LogsClient

PAGE = 10_000
"""Events of one answer at most (API reference, FilterLogEvents: `limit`)."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a log.

    Attributes:
        at: milliseconds since the epoch.
        group: the log group.
        stream: the log stream in it.
        text: the line, without the end of the line.
    """

    at: int
    group: str
    stream: str
    text: str


def merged(logs: LogsClient, groups: Iterable[str], start: int, end: int) -> Iterator[Event]:
    """The events of all groups.

    Args:
        logs: the client.
        groups: names of the log groups.
        start: of the time, milliseconds since the epoch; included.
        end: of the time, likewise; included.

    Raises:
        CommandError: a group is not there, or cannot be read.
    """
    streams = [events_of(logs, group, start, end) for group in groups]
    return heapq.merge(*streams, key=lambda event: event.at)


def events_of(logs: LogsClient, group: str, start: int, end: int) -> Iterator[Event]:
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
        # A full page without a token: an emulator that has no pages. The rest begins where this one ended.
        if events:
            start = events[-1]["timestamp"]
            newest = {_identity(each) for each in page["events"] if each["timestamp"] == start}
        else:
            start += 1


def _identity(event: Mapping[str, Any]) -> str:
    return event.get("eventId") or f"{event.get('logStreamName')}\n{event['message']}"


def _page(logs: LogsClient, group: str, start: int, end: int, token: str | None) -> Mapping[str, Any]:
    more = {"nextToken": token} if token else {}
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
