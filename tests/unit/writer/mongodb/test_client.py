"""The client: what it says of a wrong option, never a secret; its threads."""

from __future__ import annotations

import asyncio
import sys

import pytest

from local.paths import ROOT
from shared.errors import FatalError
from writer.mongodb.client import make_client
from writer.settings import LOOPS_PER_CONNECTION, MOST_CONNECTIONS

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("tsl=true", "unknown to PyMongo: tsl (did you mean tls?)"),
        (f"paswort={SECRET}", "unknown to PyMongo: paswort (did you mean"),
        (f"tls={SECRET}", "tls must be 'true' or 'false'"),
        (f"connectTimeoutMS={SECRET}", "connecttimeoutms must be an integer or float"),
        (f"{SECRET}=1@host/", "an option unknown to PyMongo"),  # the end of a password, not an option
    ],
)
def test_a_wrong_option_is_named(options: str, words: str) -> None:
    """The driver's text has the name; its value stays out."""
    with pytest.raises(FatalError) as raised:
        make_client(f"mongodb://{SECRET}:{SECRET}@host/?{options}", 1)
    assert words in str(raised.value)
    assert SECRET not in str(raised.value)


async def test_motor_has_a_thread_for_each_connection() -> None:
    """Or connections beyond five for each core would stay idle, where answers take long.

    In a new process: Motor reads the setting when it is imported, which here has happened.
    """
    program = "import writer.mongodb.sink, motor.frameworks.asyncio as motor; print(motor.max_workers)"
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=pipe, cwd=ROOT)
    printed, _ = await child.communicate()
    assert int(printed) >= LOOPS_PER_CONNECTION * MOST_CONNECTIONS
