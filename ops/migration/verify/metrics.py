"""The figures of a comparison that runs until Ctrl-C, as Prometheus reads them.

Law: a registry of its own, no global state. No document, no key, no secret.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ops.migration.verify.comparison import Kind
from shared.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ops.migration.verify.verifier import Counts


@dataclass(slots=True, eq=False)
class Metrics(Collector):
    """What is known.

    Attributes:
        passes: comparisons that ended.
        last: what the last one found.
        at: when it ended.
        units: read capacity units that were used.
    """

    table: str
    passes: int = 0
    last: Counts | None = None
    at: datetime | None = None
    units: float = 0.0

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """See `Collector`. Nothing about results before there is one."""

        def metric(
            kind: type[CounterMetricFamily | GaugeMetricFamily], name: str, about: str, value: float
        ) -> CounterMetricFamily | GaugeMetricFamily:
            family = kind(f"replicator_verify_{name}", about, labels=["table"])
            family.add_metric([self.table], value)
            return family

        yield metric(CounterMetricFamily, "passes", "Comparisons that finished.", self.passes)
        yield metric(CounterMetricFamily, "read_units", "Read capacity units that were used.", self.units)
        if self.last is None or self.at is None:
            return
        differences = GaugeMetricFamily(
            "replicator_verify_differences",
            "Differences found by the last comparison.",
            labels=["table", "kind"],
        )
        for kind in Kind:
            differences.add_metric([self.table, kind], getattr(self.last, kind))
        yield differences
        about = "Keys that kept changing during the last comparison."
        yield metric(GaugeMetricFamily, "in_flight", about, self.last.in_flight)
        yield metric(GaugeMetricFamily, "items", "Items checked by the last comparison.", self.last.items)
        about = "When the last comparison ended."
        yield metric(GaugeMetricFamily, "last_end_timestamp_seconds", about, self.at.timestamp())


@contextmanager
def serve(metrics: Metrics, host: str, port: int) -> Iterator[int]:
    """Serves `/metrics`; yields the port, which 0 leaves to the system.

    Raises:
        FatalError: the port is taken.
    """
    registry = CollectorRegistry()
    registry.register(metrics)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise FatalError(f"--metrics-port {port} on {host}: {error.strerror or error}") from error
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
