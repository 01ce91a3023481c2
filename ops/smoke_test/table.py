"""The table of a smoke test in DynamoDB.

Law: nothing is written to a table that has an item of somebody else, and every write asks DynamoDB whether
the item that it meets is one of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ops.aws import asking, code_of, no_table
from ops.console.exit_status import CommandError
from ops.smoke_test.items import KEY, MARK, Run, Step, until_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.aws import Aws

_NO_TABLE = "ResourceNotFoundException"
_IS_NOT_OURS = "ConditionalCheckFailedException"
_PAGE = 100


class SmokeTable:
    """The table."""

    def __init__(self, aws: Aws, name: str) -> None:
        self.name = name
        self._dynamodb = aws.dynamodb

    def check(self) -> None:
        """Looks whether it is a table for smoke tests.

        Raises:
            CommandError: it is not, or does not exist, or it is not known.
        """
        doing = f"looking at the table {self.name}"
        try:
            with asking(doing):
                described = self._dynamodb.describe_table(TableName=self.name)["Table"]
                schema = [(each["AttributeName"], each["KeyType"]) for each in described["KeySchema"]]
                types = {
                    each["AttributeName"]: each["AttributeType"] for each in described["AttributeDefinitions"]
                }
        except CommandError as error:
            if code_of(error) == _NO_TABLE:
                region = self._dynamodb.meta.region_name
                raise CommandError(
                    f"{no_table(self.name, region)}. To create it, see docs/deployment.md"
                ) from error
            raise
        if schema != [(KEY, "HASH")] or types.get(KEY) != "S":
            raise CommandError(
                f"the table {self.name} is not a smoke-test table: its key must be the string {KEY}, and "
                f"nothing else. Nothing was written"
            )

    def left_over(self, now: float) -> tuple[list[str], int]:
        """The keys of items that earlier runs left, and how many items belong to runs that may go on.

        Raises:
            CommandError: the table has an item that is not of a smoke test, or cannot be read.
        """
        keys: list[str] = []
        in_use = 0
        start: dict[str, Any] = {}
        while True:
            with asking(f"reading the table {self.name}"):
                page = self._dynamodb.scan(TableName=self.name, Limit=_PAGE, ConsistentRead=True, **start)
                items, last = list(page["Items"]), page.get("LastEvaluatedKey")
            for item in items:
                until = until_of(item)
                if until is None:
                    raise CommandError(
                        f"the table {self.name} has items that are not from a smoke test: name an empty "
                        "table "
                        "that is used for nothing else. Nothing was written"
                    )
                if until < now:
                    keys.append(str(item[KEY]["S"]))
                else:
                    in_use += 1
            if not last:
                return keys, in_use
            start = {"ExclusiveStartKey": last}

    def do(self, run: Run, step: Step) -> None:
        """Does a step with all items of a run.

        Raises:
            CommandError: DynamoDB refuses it, or does not answer.
        """
        if step is Step.DELETE:
            self.delete(run.keys)
            return
        condition = f"attribute_not_exists({KEY})" if step is Step.PUT else f"attribute_exists({MARK})"
        for key in run.keys:
            with asking(f"writing to the table {self.name}"):
                self._dynamodb.put_item(
                    TableName=self.name, Item=run.item(key, step), ConditionExpression=condition
                )

    def delete(self, keys: Sequence[str]) -> None:
        """Deletes items of ours; those that are not there, or not ours, stay as they are.

        Raises:
            CommandError: DynamoDB refuses it, or does not answer.
        """
        for key in keys:
            try:
                with asking(f"deleting from the table {self.name}"):
                    self._dynamodb.delete_item(
                        TableName=self.name,
                        Key={KEY: {"S": key}},
                        ConditionExpression=f"attribute_exists({MARK})",
                    )
            except CommandError as error:
                if code_of(error) != _IS_NOT_OURS:
                    raise
