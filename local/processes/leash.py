"""Run a command that dies with the process that started it. Linux only; run by path, standard library only.

    python -I -S leash.py PARENT_PID COMMAND [ARGUMENT …]

A parent that is killed by `kill -9` has no time to stop its children. The kernel can do that:
PR_SET_PDEATHSIG survives the exec below, so the command itself gets the signal. (A `preexec_fn` could do the
same without a second exec, but it is not safe in a process that has threads.)
https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent and become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # the parent died before the line above
        sys.exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606 - a command line of our own, and no shell is wanted
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
