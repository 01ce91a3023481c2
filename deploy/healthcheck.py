"""Asks the writer in this container whether it lives: exit status 0 or 1, as a Docker HEALTHCHECK wants it.

It runs alone, with the standard library only, every few seconds: `python -I -S /app/healthcheck.py`.
"""

import http.client
import os
import sys
from collections.abc import Mapping

TIMEOUT_S = 3.0
# Where to ask a server that listens on all addresses.
LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not listened on


def problem(environment: Mapping[str, str]) -> str:
    """What is wrong with the writer of these settings (STATUS_HOST and STATUS_PORT), or nothing."""
    host = environment.get("STATUS_HOST", "")
    text = environment.get("STATUS_PORT") or "8080"
    if not text.isdecimal():
        return f"STATUS_PORT={text} is not a number."
    port = int(text)
    if not port:
        return "STATUS_PORT=0 means any free port, so the port to ask is unknown."
    # No proxy is asked, whatever the environment names.
    connection = http.client.HTTPConnection(LOOPBACK.get(host, host), port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"/healthz does not answer: {error}"
    finally:
        connection.close()
    return "" if status == http.HTTPStatus.OK else f"/healthz answers {status}."


if __name__ == "__main__":
    sys.exit(problem(os.environ) or 0)
