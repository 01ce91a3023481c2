"""Figures of a comparison that goes on for ever, as Prometheus reads them.

Source: Prometheus documentation, "Exposition formats", text format 0.0.4.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from shared.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from ops.migration.verify.verifier import Counts

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_KINDS = ("missing", "different", "extra", "unmappable")


@dataclass(slots=True)
class Metrics:
    """What is known.

    Attributes:
        passes: comparisons that came to their end.
        last: what the last one found.
        at: when it ended.
        units: read capacity units that were used.
    """

    table: str
    passes: int = 0
    last: Counts | None = None
    at: datetime | None = None
    units: float = 0.0

    def text(self) -> str:
        """All of it."""
        lines: list[str] = []

        def add(name: str, kind: str, about: str, values: dict[str, float]) -> None:
            lines.append(f"# HELP {name} {about}")
            lines.append(f"# TYPE {name} {kind}")
            lines.extend(f"{name}{{{labels}}} {value:.15g}" for labels, value in values.items())

        table = f'table="{_escaped(self.table)}"'
        add("replicator_verify_passes_total", "counter", "Comparisons that ended.", {table: self.passes})
        add(
            "replicator_verify_read_units_total",
            "counter",
            "Read capacity units that were used.",
            {table: self.units},
        )
        if self.last is not None and self.at is not None:
            found = asdict(self.last)
            add(
                "replicator_verify_differences",
                "gauge",
                "Differences that the last comparison found.",
                {f'{table},kind="{kind}"': found[kind] for kind in _KINDS},
            )
            add(
                "replicator_verify_in_flight",
                "gauge",
                "Keys that kept changing during the last comparison.",
                {table: self.last.in_flight},
            )
            add(
                "replicator_verify_items",
                "gauge",
                "Items that the last comparison looked at.",
                {table: self.last.items},
            )
            add(
                "replicator_verify_last_end_timestamp_seconds",
                "gauge",
                "When the last comparison ended.",
                {table: self.at.timestamp()},
            )
        return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


@asynccontextmanager
async def serve(metrics: Metrics, host: str, port: int) -> AsyncIterator[int]:
    """Serves `/metrics`; yields the port, which 0 leaves to the system.

    Raises:
        FatalError: the port is taken.
    """

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text().encode(), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application()
    app.router.add_get("/metrics", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise FatalError(f"--metrics-port {port} on {host}: {error.strerror or error}") from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
