"""The process of `replicator`. Ctrl-C ends it without a traceback also while it still imports what it needs.

Law: nothing is imported here before that is so.
"""

import os
import signal

_INTERRUPTED = 130
"""As in `ops.console.exit_status`, which takes long to import."""


def main() -> None:
    """Runs the command that the arguments name."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # else whoever started us wants it to be ignored
        # No exception: one in the middle of an import can be lost, and there is nothing yet to release.
        signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    from ops.cli import main as run  # noqa: PLC0415

    signal.signal(signal.SIGINT, before)
    run()


if __name__ == "__main__":
    main()
