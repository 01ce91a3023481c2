"""The writer, with long polls of a second instead of five: nothing in a test waits for the end of one.

Otherwise `python -m tests.support.quick_writer` is `python -m writer`, whose stop lets a poll go to its end.
"""

from __future__ import annotations

import runpy

from writer.sqs import inbox

inbox.WAIT_SECONDS = 1

if __name__ == "__main__":
    runpy.run_module("writer", run_name="__main__")
