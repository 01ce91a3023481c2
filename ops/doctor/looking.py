"""Runs one check: whatever it raises becomes a finding, so that no check hides another.

Law: a refusal or a missing answer is never a finding about what was asked for: it is not known. Only AWS's
own word that something does not exist is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError

from ops.console.exit_status import unexpected
from ops.doctor.findings import Finding, not_well, unknown
from shared.aws_errors import error_code, words_of
from shared.errors import FatalError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_REFUSED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_NO_SUCH = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "InvalidAddress",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
    }
)
CHECK_NETWORK = "Check the network, the region and AWS_ENDPOINT_URL."
_REPORT = "Please report this line."


def look(check: str, what: str, permission: str, findings: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Runs a check that asks AWS.

    Args:
        check: its word for scripts.
        what: what it looks at, as the beginning of a sentence, such as ``The queue``.
        permission: that AWS asks for, such as ``sqs:GetQueueAttributes``.
        findings: what it finds.
    """
    try:
        return list(findings())
    except Exception as error:  # noqa: BLE001 - no check hides another
        return [not_seen(check, what, permission, error)]


def not_seen(check: str, what: str, permission: str, error: Exception) -> Finding:
    """The finding about something that could not be looked at."""
    codes = codes_of(error)
    if codes & _REFUSED:
        return unknown(check, f"{what}: the permission {permission} is missing.", f"Allow {permission}.")
    if codes & _NO_SUCH:
        return not_well(check, f"{what} does not exist.", "Check its name, the region and the account.")
    if why := why_no_answer(error):
        return unknown(check, f"{what}: {why}.", CHECK_NETWORK)
    if isinstance(error, FatalError | TransientError):
        return unknown(check, f"{what}: {error}.", "Fix that and run this again.")
    return unknown(check, f"{what}: {unexpected(error)}", _REPORT)


def codes_of(error: BaseException | None) -> set[str]:
    """The codes of AWS's answers that an error was made of."""
    return {error_code(each) for each in _chain(error)} - {""}


def why_no_answer(error: BaseException) -> str:
    """Why AWS does not answer; empty: it does, or something else is wrong."""
    silent = (EndpointConnectionError, ConnectTimeoutError)
    return next((words_of(each) for each in _chain(error) if isinstance(each, silent)), "")


def _chain(error: BaseException | None) -> Iterator[Exception]:
    while error is not None:
        if isinstance(error, Exception):
            yield error
        error = error.__cause__


def has_mistake(findings: Iterable[Finding]) -> bool:
    """Whether a check failed by a mistake of its own."""
    return any(each.advice == _REPORT for each in findings)
