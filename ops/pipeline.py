"""Where the parts of a running pipeline are: from a CloudFormation stack, or named one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ops.aws import CHECK_WHERE, asking, code_of
from ops.console.exit_status import CommandError
from ops.event_sources import table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.aws import Aws


class UnknownTablesError(CommandError):
    """Which tables the pipeline replicates is not known; the text says why."""


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
                f"there is no CloudFormation stack {stack} in the region "
                f"{aws.cloudformation.meta.region_name}{CHECK_WHERE}"
            ) from error
        raise
    names = ("QueueUrl", "DeadLetterQueueUrl", "FunctionName")
    if missing := [name for name in names if not _is_text(outputs.get(name))]:
        raise CommandError(
            f"the CloudFormation stack {stack} has no output {missing[0]}: it is not from "
            "deploy/pipeline.yaml, or not finished"
        )
    return Pipeline(*(outputs[name] for name in names))


def replicated_tables(aws: Aws, function: str) -> list[str]:
    """The tables whose streams a Lambda reads, in alphabetical order; also where reading is switched off.

    Args:
        aws: the clients.
        function: the Lambda's name or ARN.

    Raises:
        UnknownTablesError: AWS answers what cannot be read: that is not "no tables".
        CommandError: AWS refuses it, or does not answer.
    """
    found: set[str] = set()
    where: dict[str, Any] = {"FunctionName": function}
    markers: set[str] = set()
    while True:
        with asking("listing the event source mappings of the Lambda"):
            answer: Any = aws.functions.list_event_source_mappings(**where)
        try:
            found.update(table for each in answer["EventSourceMappings"] if (table := _table_of(each)))
            marker = answer.get("NextMarker") or ""
            if not isinstance(marker, str) or marker in markers:
                raise ValueError("no new marker")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnknownTablesError(
                "which tables are replicated is not known: Lambda's list of event source mappings cannot be "
                "read; name the tables instead"
            ) from error
        if not marker:
            return sorted(found)
        markers.add(marker)
        where["Marker"] = marker


def _table_of(mapping: Mapping[str, Any]) -> str:
    """The table of an event source mapping; empty: it reads something else, such as a queue.

    Raises:
        TypeError, ValueError: it is no mapping that we know.
    """
    source = mapping.get("EventSourceArn")
    if source is None and "SelfManagedEventSource" in mapping:  # a Kafka that is not of AWS has no ARN
        return ""
    return table_of(cast("str", source))  # a TypeError if it is no text


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _missing(what: str, option: str) -> str:
    raise CommandError(f"which is {what}? Give --stack NAME, or {option}")
