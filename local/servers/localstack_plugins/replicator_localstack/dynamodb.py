"""DynamoDB and its streams on a DynamoDB Local that already runs on this machine, at DYNAMODB_LOCAL_PORT.

LocalStack itself would download one and start it on every interface. The rest is LocalStack's own "v2"
providers.
"""

from localstack import config
from localstack.services.dynamodb.server import DynamodbServer
from localstack.services.dynamodb.v2.provider import DynamoDBProvider
from localstack.services.dynamodbstreams.v2.provider import DynamoDBStreamsProvider
from localstack.services.plugins import Service, aws_provider
from localstack.services.providers import HttpFallbackDispatcher

HOST = "127.0.0.1"


class RunningServer(DynamodbServer):
    """A DynamoDB Local that LocalStack neither starts nor stops."""

    def __init__(self) -> None:
        super().__init__(config.DYNAMODB_LOCAL_PORT, HOST)

    def start_dynamodb(self) -> bool:
        return True  # it served before LocalStack was started

    def stop_dynamodb(self) -> None:
        pass


class TableProvider(DynamoDBProvider):
    """LocalStack's provider of DynamoDB, on that server."""

    @staticmethod
    def _new_dynamodb_server() -> RunningServer:
        return RunningServer()


class StreamProvider(DynamoDBStreamsProvider):
    """LocalStack's provider of DynamoDB Streams, on that server."""

    def __init__(self) -> None:
        super().__init__()
        self.server = RunningServer()


@aws_provider(api="dynamodb", name="beside")
def dynamodb() -> Service:
    """PROVIDER_OVERRIDE_DYNAMODB=beside."""
    return Service.for_provider(
        TableProvider(),
        dispatch_table_factory=lambda provider: HttpFallbackDispatcher(provider, provider.get_forward_url),
    )


@aws_provider(api="dynamodbstreams", name="beside")
def dynamodbstreams() -> Service:
    """PROVIDER_OVERRIDE_DYNAMODBSTREAMS=beside."""
    return Service.for_provider(StreamProvider())
