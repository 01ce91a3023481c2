"""How a process that follows streams shows itself: the writer's status page, its probes and its metrics."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shared.release import VERSION, commit
from writer.context import Context
from writer.status.history import History
from writer.status.page import StatusPage, routes
from writer.status.server import serve
from writer.telemetry.health import Dependency, Health
from writer.telemetry.metrics import Metrics
from writer.telemetry.observer import Facts, Observer, Observers

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from writer.ports import Clock

Status = tuple[str, int]
"""Address and port."""


@asynccontextmanager
async def watching(
    status: Status | None,
    clock: Clock,
    size: tuple[int, int],
    stop: asyncio.Event,
    behind: Callable[[], Mapping[str, float]],
) -> AsyncIterator[tuple[Context, Status | None]]:
    """The context of the writer's parts, which is served at an address while this one is open.

    Args:
        status: where; None: nowhere, and nothing is counted.
        clock: the time.
        size: MongoDB connections, and batches in hand at once.
        stop: set when the process is to stop.
        behind: by table how far its stream is not read (`follow.reader.reader.StreamReader.behind`).

    Yields:
        The context, and the address with the port that is listened on.

    Raises:
        FatalError: the address cannot be listened on.
    """
    health = Health(clock, (Dependency.DYNAMODB, Dependency.MONGODB))
    if status is None:
        yield Context(clock, health, Observer(), stop), None
        return
    host, port = status
    facts = Facts(VERSION, commit(), *size, program="replicator follow")
    metrics, history = Metrics(facts, health, clock), History(clock)
    metrics.registry.register(Behind(behind))
    page = StatusPage(history, health, clock, facts, stop.is_set)
    pages = [metrics.route(), *routes(page, {socket.gethostname().lower()})]
    async with serve(host, port, health, pages, "--status-port") as actual:
        yield Context(clock, health, Observers(metrics, history), stop), (host, actual)


class Behind(Collector):
    """How far streams are not read."""

    def __init__(self, behind: Callable[[], Mapping[str, float]]) -> None:
        self._behind = behind

    def collect(self) -> Iterator[Metric]:
        gauge = GaugeMetricFamily(
            "replicator_stream_behind_seconds",
            "Time since the moment up to which the stream of this table is read.",
            labels=["table"],
        )
        for table, seconds in self._behind().items():
            gauge.add_metric([table], seconds)
        yield gauge
