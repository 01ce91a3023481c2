"""Structured logs: one JSON object a line. Never a document's content, never a secret.

Fields go into ``extra``: ``log.info("batch applied", extra={"changes": 12})``.
"""

import logging
import sys
from typing import TextIO

from pythonjsonlogger.orjson import OrjsonFormatter


def configure(level: str, stream: TextIO | None = None) -> None:
    """Makes the root logger write JSON lines at `level` and above; replaces what was set up before.

    In Lambda too: the runtime's own handler would write a second, unstructured line.
    """
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        OrjsonFormatter(
            ["levelname", "name", "message"],
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "error"},
            timestamp="time",
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # The SDKs log requests and heartbeats in detail; their warnings are enough.
    for name in ("aiobotocore", "botocore", "pymongo", "aiohttp.access"):
        logging.getLogger(name).setLevel(max(logging.getLevelNamesMapping()[level], logging.WARNING))
