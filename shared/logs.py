"""Structured logs: one JSON object a line. Never a document's content, never a secret.

Fields go into ``extra``: ``log.info("state", extra={"batches": 12})``. Levels: ERROR needs a person; a
WARNING passes, or concerns one record; INFO reports work done, one line an invocation, and one a minute of a
writer; DEBUG names batches, messages and stream events. The same warning is written a few times a minute
(`shared.log_sampling`).
"""

import logging
import sys

from pythonjsonlogger.orjson import OrjsonFormatter

from shared.emf import FIELD
from shared.log_sampling import Output, SamplingHandler


def formatter() -> logging.Formatter:
    """Makes a JSON object of a record."""
    return OrjsonFormatter(
        ["levelname", "name", "message"],
        rename_fields={"levelname": "level", "name": "logger", "exc_info": "error", FIELD: "_aws"},
        timestamp="time",
    )


def configure(level: str, stream: Output | None = None) -> None:
    """Makes the root logger write JSON lines at `level` and above, and removes its other handlers.

    In Lambda too: the runtime's own handler would write each line a second time, unstructured.
    """
    handler = SamplingHandler(stream or sys.stdout)
    handler.setFormatter(formatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Whoever reaches the status port can send malformed requests; aiohttp would log them, with headers.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    # The SDKs log requests and heartbeats in detail; their warnings are enough.
    for name in ("aiobotocore", "botocore", "pymongo", "aiohttp.access"):
        logging.getLogger(name).setLevel(max(logging.getLevelNamesMapping()[level], logging.WARNING))
