"""An AWS emulator and a MongoDB to work against, whoever started them.

Nothing here knows about the pipeline. What the environment names is used as it is (a LocalStack-compatible
endpoint through AWS_ENDPOINT_URL or LOCALSTACK_HOST, a MongoDB through MONGODB_URI), everything else is
started here, in a folder of its own, and gone afterwards.
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
from local.processes.interrupts import shield
from local.servers.capabilities import LOCALSTACK, MINISTACK, Capabilities
from local.servers.dynamodb_local import prepare
from local.servers.emulator import ACCESS_KEY, REGION, Emulator, is_ministack
from local.servers.localstack import LocalStack, check_environment
from local.servers.mongod import Mongod, check_reachable

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_lambda import LambdaClient
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient

StackKind = Literal["embedded", "localstack"]


class Stack:
    """The two servers, running as long as its `with` block."""

    endpoint_url: str
    mongodb_uri: str
    mongodb_version: str
    folder: Path
    """Data and logs of everything that runs here."""
    emulator: Emulator | LocalStack | None
    """None: the endpoint was there before us."""
    capabilities: Capabilities
    """What the emulator can do."""
    mongod: Mongod | None
    """None: the MongoDB was there before us."""

    def __init__(self, kind: StackKind | None = None, *, keep: bool = False) -> None:
        """Choose what to start; nothing is started yet.

        Args:
            kind: "embedded": start both servers here, whatever the environment names. "localstack": where it
                names no endpoint, start LocalStack instead of the embedded emulator.
            keep: Leave the folder behind.
        """
        self._kind = kind
        self._keep = keep
        self._resources = contextlib.ExitStack()
        named = {} if kind == "embedded" else dict(os.environ)
        self._given_endpoint = bool(named.get("AWS_ENDPOINT_URL") or named.get("LOCALSTACK_HOST"))
        self._given_uri = named.get("MONGODB_URI", "")

    def __enter__(self) -> Self:
        """Start what has to be started, and wait until both serve.

        Raises:
            StackError: One of them cannot be started or reached.
        """
        if self._kind == "localstack" and not self._given_endpoint:
            check_environment()
            prepare()  # here it may be interrupted, and nothing runs yet
        try:
            with shield():
                self._start()
            self._find_mongodb()
            self._find_endpoint()
        except BaseException:
            self._resources.close()
            raise
        return self

    def _start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="replicator-"))
        if not self._keep:
            self._resources.callback(shutil.rmtree, self.folder, ignore_errors=True)
        # Both start before either is waited for.
        self.mongod = None if self._given_uri else self._resources.enter_context(Mongod(self.folder))
        self.emulator = None
        if not self._given_endpoint:
            is_localstack = self._kind == "localstack"
            self.emulator = LocalStack(self.folder) if is_localstack else Emulator(self.folder)
            self._resources.push(self.emulator)

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def _find_mongodb(self) -> None:
        if self.mongod:
            self.mongod.wait()
            self.mongodb_uri, self.mongodb_version = self.mongod.uri, self.mongod.version
        else:
            self.mongodb_uri, self.mongodb_version = self._given_uri, check_reachable(self._given_uri)

    def _find_endpoint(self) -> None:
        if self.emulator:
            self.emulator.wait()
            self.endpoint_url = self.emulator.endpoint_url
            self.capabilities = LOCALSTACK if isinstance(self.emulator, LocalStack) else MINISTACK
            return
        # The two variables mean here what they mean to LocalStack's own client.
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
        """Do nothing if all servers that were started here live.

        Raises:
            StackError: One has ended.
        """
        for server in (self.mongod, self.emulator):
            if server:
                server.check()

    def environment(self) -> dict[str, str]:
        """The AWS_* variables that lead a child process to the emulator, and nowhere else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

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
        """A boto3 client of the emulator. Profiles, proxies and AWS_* of this process play no part."""
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
