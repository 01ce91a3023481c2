"""The stack, the Lambda function, and the two queues of a pipeline, as AWS describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ops.aws import asking
from ops.console.exit_status import CommandError
from ops.doctor.findings import Finding, not_well, unknown, well
from ops.doctor.looking import codes_of, look, not_seen
from ops.doctor.queues import judge_dead_letter_queue, judge_queue
from ops.pipeline import Pipeline, find_pipeline
from shared.sqs_answers import attributes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ops.aws import Aws

_NAME_IT = "Give --stack NAME (REPLICATOR_STACK)"
_STACKS = "cloudformation:DescribeStacks"
_SETTLED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")


def find_parts(aws: Aws, stack: str, named: Pipeline) -> tuple[Pipeline, list[Finding]]:
    """Finds the parts by the stack, or as they are named; with the findings about the stack."""
    if not stack:
        return named, []
    try:
        parts = find_pipeline(aws, stack, named)
    except CommandError as error:
        # DescribeStacks answers ValidationError for a name it does not know. No cause: it is another stack.
        if error.__cause__ is None or "ValidationError" in codes_of(error):
            return named, [not_well("stack", f"{_upper(str(error))}.", "Check --stack and --region.")]
        return named, [not_seen("stack", f"The stack {stack}", _STACKS, error)]
    return parts, look("stack", f"The stack {stack}", _STACKS, lambda: [_stack(aws, stack)])


def _stack(aws: Aws, stack: str) -> Finding:
    with asking("asking for its state"):
        status = str(aws.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
    if status in _SETTLED:
        return well("stack", f"The stack {stack} is {status}; its outputs name the queues and the function.")
    if "FAILED" in status or "ROLLBACK" in status or "DELETE" in status:
        return not_well(
            "stack", f"The stack {stack} is {status}.", "Look at its events, and deploy it again."
        )
    return unknown(
        "stack", f"The stack {stack} is {status}: an update is running.", "Run this again afterwards."
    )


def how_to_name(stack: str, option: str) -> str:
    """What to do about a part that is not known; `stack` did not say, if there is one."""
    return f"Fix the stack's problem above, or give {option}." if stack else f"{_NAME_IT}, or {option}."


def check_function(aws: Aws, parts: Pipeline, stack: str) -> list[Finding]:
    """Looks at the Lambda function."""
    if not parts.function:
        return [
            unknown("function", "Cannot tell which Lambda function it is.", how_to_name(stack, "--function"))
        ]
    permission, what = "lambda:GetFunctionConfiguration", f"The Lambda function {parts.function}"
    return look("function", what, permission, lambda: _function(aws, parts))


def _function(aws: Aws, parts: Pipeline) -> Iterator[Finding]:
    with asking("asking for its configuration"):
        found: Any = aws.functions.get_function_configuration(FunctionName=parts.function)
        state, update = found.get("State"), found.get("LastUpdateStatus")
        settings: Mapping[str, str] = found.get("Environment", {}).get("Variables", {})
        urls = {name: settings.get(name, "") for name in ("QUEUE_URL", "DEAD_LETTER_QUEUE_URL")}
    name = parts.function
    if state == "Inactive" or (state == "Active" and update in ("Successful", None)):
        yield well("function", f"The Lambda function {name} is {state}.")
    elif state == "Failed" or update == "Failed":
        text = f"The Lambda function {name} is {state}, its last update {update}."
        yield not_well("function", text, "Look at its configuration, and deploy the stack again.")
    else:
        text = (
            f"Cannot tell whether the Lambda function {name} works: it is {state}, its last update {update}."
        )
        yield unknown("function", text, "Run this again when it is Active.")
    for setting, ours in zip(urls, (parts.queue_url, parts.dead_letter_queue_url), strict=True):
        if ours and urls[setting] != ours:
            theirs = urls[setting] or "nothing"
            yield not_well(
                "function-queues",
                f"The {setting} of the Lambda function {name} is {theirs}, not {ours}.",
                f"Correct its {setting}, or name the pipeline that it belongs to.",
            )


def check_queues(aws: Aws, parts: Pipeline, stack: str) -> list[Finding]:
    """Looks at the attributes of both queues."""
    name_it = how_to_name(stack, "--queue-url (QUEUE_URL)")
    queue, found = _attributes(aws, parts.queue_url, "queue", "The queue", name_it)
    name_it = how_to_name(stack, "--dead-letter-queue-url (DEAD_LETTER_QUEUE_URL)")
    dead, more = _attributes(
        aws, parts.dead_letter_queue_url, "dead-letters", "The dead-letter queue", name_it
    )
    if queue:
        found += judge_queue(parts.queue_url, queue, dead.get("QueueArn", ""))
    found += more
    if dead:
        found += judge_dead_letter_queue(parts.dead_letter_queue_url, dead, queue.get("QueueArn", ""))
    return found


def _attributes(
    aws: Aws, url: str, check: str, what: str, name_it: str
) -> tuple[Mapping[str, str], list[Finding]]:
    if not url:
        return {}, [unknown(check, f"{what} was not checked: it is not named.", name_it)]
    attributes: dict[str, str] = {}

    def read() -> list[Finding]:
        with asking("reading its attributes"):
            attributes.update(
                attributes_of(aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]))
            )
        if not attributes:
            return [unknown(check, f"{what}: SQS's answer has no attributes.", "Run this again.")]
        return []

    return attributes, look(check, f"{what} {url}", "sqs:GetQueueAttributes", read)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
