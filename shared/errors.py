"""The three kinds of failure. Every other error is a bug and may end the process.

The edges (`writer.mongodb.driver_errors`, `shared.aws_errors`) translate drivers' errors into these, once, by
type and code. Nothing here knows a driver.
"""


class PoisonError(Exception):
    """One record that can never be applied; it is parked, its neighbours go on.

    Attributes:
        code: a short stable identifier of the reason, such as ``bad-envelope``; operators filter by it.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class TransientError(Exception):
    """A server or the network is not there right now. Waiting helps; nothing is parked for it."""


class FatalError(Exception):
    """Only a person can help: wrong settings, refused credentials. Its text says what to do."""


def fatal_reasons(error: BaseException) -> list[str]:
    """The distinct texts of the `FatalError`s in an error or a group of errors."""
    if isinstance(error, FatalError):
        return [str(error)]
    nested = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return list(dict.fromkeys(reason for part in nested for reason in fatal_reasons(part)))
