"""An AWS emulator and a MongoDB to work with: those that the environment names, or else new ones.

AWS_ENDPOINT_URL or LOCALSTACK_HOST names a LocalStack-compatible endpoint, MONGODB_URI a MongoDB; they are
used as they are. What is not named is started here, in a new folder, and removed afterwards. Nothing here
knows the pipeline.
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from localstack_client.config import get_service_endpoint  # type: ignore[import-untyped]  # it ships no types

from local.errors import StackError
from local.processes.child import base_environment
from local.processes.interrupts import shield
from local.servers.capabilities import LOCALSTACK, MINISTACK, Capabilities
from local.servers.dynamodb_local import prepare
from local.servers.emulator import ACCESS_KEY, AWS_VARIABLES, REGION
from local.servers.localstack import LocalStack, check_environment
from local.servers.ministack import MiniStack, is_ministack
from local.servers.mongod import Mongod, check_reachable

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_lambda import LambdaClient
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient

StackKind = Literal["embedded", "localstack"]


class Stack:
    """The two servers, for the time of its `with` block.

    Attributes:
        folder: Data and logs of everything that runs here.
        emulator: The emulator that was started here; None if the environment names one.
        capabilities: What the emulator cannot do.
        mongod: The MongoDB that was started here; None if the environment names one.
    """

    endpoint_url: str
    mongodb_uri: str
    mongodb_version: str
    folder: Path
    emulator: MiniStack | LocalStack | None
    capabilities: Capabilities
    mongod: Mongod | None

    def __init__(self, kind: StackKind | None = None, *, keep: bool = False) -> None:
        """Choose what to start, and start nothing yet.

        Args:
            kind: "embedded": start both servers here, whatever the environment names. "localstack": if it
                names no endpoint, start LocalStack instead of MiniStack.
            keep: Do not remove the folder at the end.
        """
        self._kind = kind
        self._keep = keep
        self._resources = contextlib.ExitStack()
        named = {} if kind == "embedded" else dict(os.environ)
        self._given_endpoint = bool(named.get("AWS_ENDPOINT_URL") or named.get("LOCALSTACK_HOST"))
        self._given_uri = named.get("MONGODB_URI", "")

    def __enter__(self) -> Self:
        """Start what the environment does not name, and wait until both serve.

        Raises:
            StackError: A server cannot be started or reached.
        """
        if self._kind == "localstack" and not self._given_endpoint:
            check_environment()
            prepare()  # slow, but may be interrupted: nothing runs yet
        given_version = check_reachable(self._given_uri) if self._given_uri else ""
        try:
            with shield():
                self._start()
            self._find_mongodb(given_version)
            self._find_endpoint()
        except BaseException:
            self._resources.close()
            raise
        return self

    def _start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="replicator-"))
        if not self._keep:
            self._resources.callback(shutil.rmtree, self.folder, ignore_errors=True)
        # Start both before waiting for either.
        self.mongod = None if self._given_uri else self._resources.enter_context(Mongod(self.folder))
        self.emulator = None
        if not self._given_endpoint:
            is_localstack = self._kind == "localstack"
            self.emulator = LocalStack(self.folder) if is_localstack else MiniStack(self.folder)
            self._resources.push(self.emulator)

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def _find_mongodb(self, given_version: str) -> None:
        if self.mongod:
            self.mongod.wait()
            self.mongodb_uri, self.mongodb_version = self.mongod.uri, self.mongod.version
        else:
            self.mongodb_uri, self.mongodb_version = self._given_uri, given_version

    def _find_endpoint(self) -> None:
        if self.emulator:
            self.emulator.wait()
            self.endpoint_url = self.emulator.endpoint_url
            self.capabilities = LOCALSTACK if isinstance(self.emulator, LocalStack) else MINISTACK
            return
        # The two variables have the meaning that they have for LocalStack's own client.
        self.endpoint_url = get_service_endpoint("sqs")
        try:
            self.client("sqs").list_queues(MaxResults=1)
        except (BotoCoreError, ClientError) as error:
            raise StackError(
                f"AWS_ENDPOINT_URL or LOCALSTACK_HOST names {self.endpoint_url}, but no AWS emulator can be "
                f"used there: {error}\nStart it, or unset the variable to have one started here."
            ) from error
        self.capabilities = MINISTACK if is_ministack(self.endpoint_url) else LOCALSTACK

    def check(self) -> None:
        """Do nothing if all servers that were started here are running.

        Raises:
            StackError: One has ended.
        """
        for server in (self.mongod, self.emulator):
            if server:
                server.check()

    def environment(self) -> dict[str, str]:
        """The AWS_* variables with which a child process uses the emulator, and nothing else."""
        return {"AWS_ENDPOINT_URL": self.endpoint_url, "AWS_REGION": REGION, **AWS_VARIABLES}

    def process_environment(self) -> dict[str, str]:
        """The whole environment of a child process that uses the emulator."""
        return base_environment() | self.environment()

    @overload
    def client(self, service: Literal["cloudformation"]) -> "CloudFormationClient": ...
    @overload
    def client(self, service: Literal["dynamodb"]) -> "DynamoDBClient": ...
    @overload
    def client(self, service: Literal["lambda"]) -> "LambdaClient": ...
    @overload
    def client(self, service: Literal["s3"]) -> "S3Client": ...
    @overload
    def client(self, service: Literal["sqs"]) -> "SQSClient": ...
    def client(self, service: str) -> Any:
        """A boto3 client of the emulator. It ignores AWS profiles, proxies and AWS_* variables."""
        session = boto3.session.Session(
            aws_access_key_id=ACCESS_KEY, aws_secret_access_key=ACCESS_KEY, region_name=REGION
        )
        config = Config(
            proxies={},
            retries={"mode": "standard", "total_max_attempts": 3},
            s3={"addressing_style": "path"},
        )
        make: Any = session.client  # its overloads name every service as a literal
        return make(service, endpoint_url=self.endpoint_url, config=config)
