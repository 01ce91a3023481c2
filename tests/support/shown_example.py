"""`make run` with a terminal beside it, as the documents have it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.config import Config

from local.pipeline.templates import load, without_composed_alarms
from tests.support.deployments import without_types
from tests.support.second_terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.local_run import Run

_BLOCKS = re.compile(r"(?:^ {4}\S.*\n(?:^ {5,}\S.*\n)*)+", re.MULTILINE)
_NOT_IN_THE_EMULATOR = "AWS::ApplicationAutoScaling::"
_WITH_IMAGES = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


@dataclass(frozen=True)
class Example:
    """`make run`, after its example.

    Attributes:
        printed: its commands to copy, a block of lines for each section.
    """

    endpoint_url: str
    mongodb_uri: str
    printed: list[str]
    terminal: Terminal

    @classmethod
    def of(cls, run: Run, folder: Path, package: Path) -> Self:
        """Waits until the example is done, and prepares a terminal in an empty folder.

        Args:
            run: it has just started.
            folder: of the terminal. Its templates are without what MiniStack does not know.
            package: the Lambda's.
        """
        uri = run.read_until(r"^ +MongoDB +(\S+)")[1]
        endpoint_url = run.read_until(r"^ +AWS emulator +(\S+)")[1]
        run.read_until("Replicating until Ctrl-C")
        shown = run.output.partition("The status page is at")[2]
        printed = [re.sub(r"^ {4}", "", block, flags=re.MULTILINE) for block in _BLOCKS.findall(shown)]
        terminal = Terminal(folder, endpoint_url=endpoint_url, mongodb_uri=uri, package=package)
        templates = folder / "deploy"
        pipeline, writer = (load((templates / f"{name}.yaml").read_text()) for name in ("pipeline", "writer"))
        (templates / "pipeline.yaml").write_text(json.dumps(without_composed_alarms(pipeline)))
        (templates / "writer.yaml").write_text(json.dumps(without_types(writer, _NOT_IN_THE_EMULATOR)[0]))
        return cls(endpoint_url, uri, printed, terminal)

    def client(self, service: str, region: str = "us-east-1") -> Any:
        """A client of the emulator."""
        make: Any = boto3.client  # one service, untyped
        return make(
            service,
            endpoint_url=self.endpoint_url,
            region_name=region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(proxies={}),
        )

    def create_table(self, name: str, *key: str, region: str = "us-east-1", stream: bool = False) -> str:
        """Creates a table with a key of texts; returns the ARN of its stream."""
        made = self.client("dynamodb", region).create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in key],
            KeySchema=[
                {"AttributeName": each, "KeyType": kind}
                for each, kind in zip(key, ("HASH", "RANGE"), strict=False)
            ],
            BillingMode="PAY_PER_REQUEST",
            **({"StreamSpecification": _WITH_IMAGES} if stream else {}),
        )
        return str(made["TableDescription"].get("LatestStreamArn", ""))
