"""`GET /metrics`: what a process observes, in the format of Prometheus.

Law: a registry of its own, no global state. The number of series is bounded, whatever the messages name:
tables beyond the first hundred count as `other`, all other labels have fixed sets of values. No document, no
key, no secret.

Sources: Prometheus documentation, "Metric and label naming" and "Exposition formats".
"""

import functools
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from writer.ports import Clock
from writer.telemetry.health import Dependency, Health
from writer.telemetry.in_flight import InFlight
from writer.telemetry.observer import (
    LONGEST_NAME,
    MOST_TABLES,
    Backlog,
    Batch,
    Call,
    Cause,
    Facts,
    InHand,
    Lag,
    Observer,
    Trouble,
)

OTHER = "other"

LAG_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 900, 3600)
"""Seconds. Stream records have whole seconds, so finer buckets would say nothing."""

_REQUESTS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)
_MESSAGES = (1, 2, 5, 10, 20, 30, 40, 50, 60)

_MINUTE = 60.0


class Metrics(Observer, Collector):
    """An observer that counts for Prometheus."""

    def __init__(
        self, facts: Facts, health: Health, clock: Clock, log_lines_dropped: Callable[[], int] = lambda: 0
    ) -> None:
        self._clock = clock
        self._health = health
        self._log_lines_dropped = log_lines_dropped
        self._in_flight = InFlight()
        self._tables: set[str] = set()
        self._ages: defaultdict[str, _Ages] = defaultdict(_Ages)
        self._lag_max = _Latest(clock)
        self._waited_max = _Latest(clock)
        self._backlog: Backlog | None = None
        self._last_success: float | None = None
        self.registry = registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)
        registry.register(self)

        def histogram(name: str, about: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, about, buckets=buckets, registry=registry)

        self._changes = Counter(
            "replicator_changes_total",
            "Changes by result.",
            ["table", "operation", "result"],
            registry=registry,
        )
        self._batch_changes = histogram("replicator_batch_changes", "Changes in a batch.", _SIZES)
        self._batch_messages = histogram("replicator_batch_messages", "Messages in a batch.", _MESSAGES)
        self._plan = histogram("replicator_plan_seconds", "Decoding and transforming a batch.", _REQUESTS)
        self._bulk = histogram(
            "replicator_mongodb_batch_seconds",
            "All MongoDB requests of a batch, until a majority confirms them; one attempt.",
            _REQUESTS,
        )
        self._requests: dict[Call, Histogram] = {}
        if Dependency.SQS in health.dependencies:
            requests = Histogram(
                "replicator_sqs_request_seconds",
                "Requests to SQS. A receive waits up to 5 s for messages.",
                ["request"],
                buckets=_REQUESTS,
                registry=registry,
            )
            self._requests = {call: requests.labels(call.value) for call in Call if call is not Call.BULK}
        retries = Counter(
            "replicator_retries_total",
            "Transient problems by cause: attempts that failed, batches that went back.",
            ["cause"],
            registry=registry,
        )
        absent = {each.value for each in Dependency} - {each.value for each in health.dependencies}
        self._retries = {cause: retries.labels(cause.value) for cause in Cause if cause.value not in absent}
        self._gauges(facts, health)

    def _gauges(self, facts: Facts, health: Health) -> None:
        """Figures that are computed when they are read."""
        registry = self.registry

        def gauge(name: str, about: str, read: Callable[[], float]) -> None:
            Gauge(name, about, registry=registry).set_function(read)

        held = self._in_flight
        gauge(
            "replicator_messages_in_flight", "Messages that this writer has in flight.", lambda: held.messages
        )
        gauge(
            "replicator_changes_in_flight",
            "Changes in those messages, as far as they were decoded.",
            lambda: held.changes,
        )
        gauge(
            "replicator_oldest_unapplied_seconds",
            "Age of the oldest change that this writer holds.",
            lambda: held.oldest(self._clock.now()),
        )
        gauge("replicator_ready", "1: the process is not waiting for anything.", lambda: health.ready)
        waiting = Gauge(
            "replicator_waiting", "1: the process is waiting for this part.", ["part"], registry=registry
        )
        for dependency in health.dependencies:
            waiting.labels(dependency.value).set_function(functools.partial(_waits_for, health, dependency))
        build = {"version": facts.version, "commit": facts.commit}
        Info("replicator_build", "Version and commit of the writer.", registry=registry).info(build)

    def batch(self, batch: Batch) -> None:
        for counted in batch.counted:
            self._changes.labels(self._table(counted.table), counted.operation, counted.result).inc(
                counted.changes
            )
        for lag in batch.lags:
            self._ages[self._table(lag.table)].add(lag)
            self._lag_max.add(lag.seconds)
        self._batch_changes.observe(batch.changes)
        self._batch_messages.observe(batch.messages)
        self._plan.observe(batch.plan)
        self._last_success = self._clock.now()

    def in_hand(self, loop: int, held: InHand | None) -> None:
        self._in_flight.hold(loop, held)

    def called(self, call: Call, seconds: float) -> None:
        if (requests := self._bulk if call is Call.BULK else self._requests.get(call)) is not None:
            requests.observe(seconds)

    def backlog(self, backlog: Backlog) -> None:
        self._backlog = backlog

    def oldest_received(self, age: float) -> None:
        self._waited_max.add(age)

    def trouble(self, trouble: Trouble) -> None:
        if (retries := self._retries.get(trouble.cause)) is not None:
            retries.inc()

    def collect(self) -> Iterable[Metric]:
        """What the library has no type for: many observations at once, and figures that may be unknown."""
        lags = HistogramMetricFamily(
            "replicator_lag_seconds",
            "Age of changes when they were acknowledged; stream times have whole seconds.",
            labels=["table"],
        )
        for table, ages in self._ages.items():
            lags.add_metric([table], ages.buckets(), ages.sum)
        yield lags
        yield GaugeMetricFamily(
            "replicator_lag_max_seconds",
            "The greatest lag of the last minute; 0: nothing was acknowledged.",
            self._lag_max.greatest,
        )
        yield GaugeMetricFamily(
            "replicator_received_message_age_seconds",
            "Longest time that a message received in the last minute had waited in the queue; 0: none was "
            "received.",
            self._waited_max.greatest,
        )
        queue = GaugeMetricFamily(
            "replicator_queue_messages",
            "Messages in the queue (waiting, in_flight: held by any writer) and in its dead-letter queue"
            " (dead); approximate, as SQS reports it."
            if Dependency.SQS in self._health.dependencies
            else "Messages in memory (waiting, in_flight), and dead letters in MongoDB (dead).",
            labels=["state"],
        )
        if self._backlog is not None:
            queue.add_metric(["waiting"], self._backlog.waiting)
            queue.add_metric(["in_flight"], self._backlog.in_flight)
            queue.add_metric(["dead"], self._backlog.dead_letters)
        yield queue
        tables = GaugeMetricFamily(
            "replicator_table_waiting",
            "1: MongoDB refuses writes of this table, or another process follows it.",
            labels=["table"],
        )
        for table in {self._table(wait.table) for wait in self._health.tables.values()}:
            tables.add_metric([table], 1.0)
        yield tables
        last = GaugeMetricFamily(
            "replicator_last_success_timestamp_seconds", "When the last batch was acknowledged."
        )
        if self._last_success is not None:
            last.add_metric([], self._last_success)
        yield last
        yield CounterMetricFamily(
            "replicator_log_lines_dropped",
            "Log lines that were lost because nobody read standard output.",
            self._log_lines_dropped(),
        )

    def route(self) -> web.RouteDef:
        """`/metrics`, in the format that the client accepts: Prometheus text or OpenMetrics."""

        async def answer(request: web.Request) -> web.Response:
            encode, content_type = choose_encoder(request.headers.get("Accept", ""))
            return web.Response(body=encode(self.registry), headers={"Content-Type": content_type})

        return web.get("/metrics", answer)

    def _table(self, name: str) -> str:
        if name in self._tables:
            return name
        if len(self._tables) < MOST_TABLES and len(name) <= LONGEST_NAME:
            self._tables.add(name)
            return name
        return OTHER


def _waits_for(health: Health, dependency: Dependency) -> float:
    return float(dependency in health.waits)


class _Latest:
    """The greatest figure of the last minute, in steps of a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._found: deque[tuple[int, float]] = deque()

    def add(self, figure: float) -> None:
        second = int(self._clock.monotonic())
        while self._found and self._found[-1][1] <= figure:
            self._found.pop()
        if not self._found or self._found[-1][0] != second:
            self._found.append((second, figure))

    @property
    def greatest(self) -> float:
        """0 if there was none."""
        begin = self._clock.monotonic() - _MINUTE
        while self._found and self._found[0][0] < begin:
            self._found.popleft()
        return self._found[0][1] if self._found else 0.0


@dataclass(slots=True)
class _Ages:
    """The lags of a table's changes, by bucket; the library's own histogram takes one change at a time."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(LAG_BUCKETS) + 1))
    sum: float = 0.0

    def add(self, lag: Lag) -> None:
        self.counts[bisect_left(LAG_BUCKETS, lag.seconds)] += lag.changes
        self.sum += lag.seconds * lag.changes

    def buckets(self) -> list[tuple[str, float]]:
        below, found = 0, []
        for bound, count in zip([*map(str, map(float, LAG_BUCKETS)), "+Inf"], self.counts, strict=True):
            below += count
            found.append((bound, float(below)))
        return found
