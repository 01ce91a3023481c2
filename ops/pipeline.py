"""Where the parts of a running pipeline are: from a CloudFormation stack, or named one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops.aws import asking, code_of
from ops.console.exit_status import CommandError

if TYPE_CHECKING:
    from ops.aws import Aws


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What is known of it; an empty text: not known."""

    queue_url: str = ""
    dead_letter_queue_url: str = ""
    function: str = ""

    @property
    def queue(self) -> str:
        """The queue's URL.

        Raises:
            CommandError: it was not named.
        """
        return self.queue_url or _missing("the queue", "--queue-url (QUEUE_URL)")

    @property
    def dead_letter_queue(self) -> str:
        """The dead-letter queue's URL.

        Raises:
            CommandError: it was not named.
        """
        return self.dead_letter_queue_url or _missing(
            "the dead-letter queue", "--dead-letter-queue-url (DEAD_LETTER_QUEUE_URL)"
        )


def find_pipeline(aws: Aws, stack: str, named: Pipeline) -> Pipeline:
    """Finds the parts.

    Args:
        aws: the clients.
        stack: name of the CloudFormation stack; it goes before what is named. Empty: none.
        named: what options and environment say.

    Raises:
        CommandError: there is no such stack, it is not one of ours or not finished, or AWS does not answer.
    """
    if not stack:
        return named
    try:
        with asking(f"looking for the CloudFormation stack {stack}"):
            found = aws.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
            outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    except CommandError as error:
        if code_of(error) == "ValidationError":  # "Stack with id … does not exist" (DescribeStacks)
            raise CommandError(
                f"there is no CloudFormation stack {stack}: check its name, and region and account"
            ) from error
        raise
    names = ("QueueUrl", "DeadLetterQueueUrl", "FunctionName")
    if missing := [name for name in names if not _is_text(outputs.get(name))]:
        raise CommandError(
            f"the CloudFormation stack {stack} has no output {missing[0]}: it is not of "
            "deploy/pipeline.yaml, or not finished"
        )
    return Pipeline(*(outputs[name] for name in names))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _missing(what: str, option: str) -> str:
    raise CommandError(f"which is {what}? Give --stack NAME, or {option}")
