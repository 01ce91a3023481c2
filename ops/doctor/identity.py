"""Who we are for AWS, where, and whether our clocks agree.

Sources: AWS STS API reference, ``GetCallerIdentity`` (it needs no permission); AWS General Reference,
"Troubleshoot Signature Version 4" (a request is good for five minutes).
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, NoCredentialsError, NoRegionError

from ops.aws import asking
from ops.console.exit_status import CommandError
from ops.doctor.findings import Finding, not_well, unknown, well
from ops.doctor.looking import CHECK_NETWORK, why_no_answer
from shared.aws_errors import is_about_time, is_refusal

if TYPE_CHECKING:
    from ops.aws import Aws

_ASKING = "asking AWS whose credentials these are"
MOST_APART = 60.0
"""Seconds by which two clocks may differ."""


def check_identity(aws: Aws) -> list[Finding]:
    """Looks at credentials, region and clock."""
    try:
        with asking(_ASKING):
            answer: Any = aws.sts.get_caller_identity()
            who, headers = str(answer["Arn"]), answer["ResponseMetadata"]["HTTPHeaders"]
    except CommandError as error:
        return [_not_identified(error), _clock(_headers_of(error.__cause__))]
    region = aws.sts.meta.region_name
    return [
        well("aws-credentials", f"The AWS credentials belong to {who}; the region is {region}."),
        _clock(headers),
    ]


def are_usable(findings: list[Finding]) -> bool:
    """Whether asking AWS anything else can succeed."""
    return all(each.advice != _SET_CREDENTIALS for each in findings)


_SET_CREDENTIALS = "Fix this and run it again: nothing else on AWS can be checked without it."


def _not_identified(error: CommandError) -> Finding:
    cause = error.__cause__ or error
    inner = cause.__cause__ if isinstance(cause, CommandError) and cause.__cause__ else cause
    if isinstance(inner, NoCredentialsError | NoRegionError):
        return not_well("aws-credentials", f"{_sentence(error)}.", _SET_CREDENTIALS)
    if isinstance(inner, ClientError) and (is_refusal(inner) or is_about_time(inner)):
        return not_well("aws-credentials", f"{_sentence(error)}.", _SET_CREDENTIALS)
    why = why_no_answer(error) or _reason(error)
    return unknown("aws-credentials", f"Cannot tell whose AWS credentials these are: {why}.", CHECK_NETWORK)


def _reason(error: CommandError) -> str:
    return str(error).removeprefix(f"{_ASKING}: ").removeprefix("using the AWS SDK: ")


def _sentence(error: CommandError) -> str:
    text = _reason(error)
    return text[:1].upper() + text[1:]


def _headers_of(error: BaseException | None) -> Any:
    response: Any = getattr(error, "response", None)
    metadata = response.get("ResponseMetadata") if isinstance(response, dict) else None
    return metadata.get("HTTPHeaders") if isinstance(metadata, dict) else None


def _clock(headers: Any) -> Finding:
    try:
        theirs = parsedate_to_datetime(headers["date"]).timestamp()
    except (LookupError, TypeError, ValueError):
        return unknown(
            "aws-clock",
            "Cannot tell whether this machine's clock is right: AWS did not send the time.",
            "Run this again when AWS answers.",
        )
    return clock_finding("aws-clock", "AWS", theirs, time.time())


def clock_finding(check: str, whose: str, theirs: float, ours: float) -> Finding:
    """Compares two clocks, in seconds since the epoch."""
    apart = ours - theirs
    if abs(apart) <= MOST_APART:
        return well(check, f"This machine's clock agrees with that of {whose}.")
    direction = "ahead of" if apart > 0 else "behind"
    return not_well(
        check,
        f"This machine's clock is {abs(apart):,.0f} seconds {direction} that of {whose}.",
        "Correct whichever is wrong, for example with NTP: AWS rejects requests that are 5 minutes off.",
    )
