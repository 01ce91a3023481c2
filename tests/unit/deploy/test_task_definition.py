"""The writer's task definition: the environment that ECS makes of it is one that the writer takes."""

from __future__ import annotations

import pytest

from tests.support import task_definition
from writer.settings import Settings

URI = "mongodb+srv://cluster.example.com/?w=majority"
GIVEN = {
    "QueueUrl": "https://sqs.eu-west-1.amazonaws.com/123456789012/replicator.fifo",
    "QueueArn": "arn:aws:sqs:eu-west-1:123456789012:replicator.fifo",
    "DeadLetterQueueUrl": "https://sqs.eu-west-1.amazonaws.com/123456789012/replicator-dead.fifo",
    "MongoDbDatabase": "shop",
    "AWS::Region": "eu-west-1",
}


@pytest.mark.parametrize(
    ("login", "secrets"),
    [
        ({"MongoDbUriSecretArn": "arn:secret"}, {"arn:secret": URI}),
        ({"MongoDbUriSecretArn": "arn:secret", "MongoDbUriSecretKey": "uri"}, {"arn:secret:uri::": URI}),
        ({"MongoDbUri": URI}, {}),
    ],
    ids=["a secret", "a key of a secret", "no secret"],
)
def test_the_writer_takes_its_environment(login: dict[str, str], secrets: dict[str, str]) -> None:
    """Whatever the login is; the metrics are those that the other template's dashboard asks for."""
    environment = task_definition.environment(GIVEN | login, secrets)
    settings = Settings.read(environment)
    assert (settings.mongodb_uri, settings.mongodb_database) == (URI, "shop")
    assert settings.queue_url == GIVEN["QueueUrl"]
    assert settings.cloudwatch_metrics == "replicator.fifo"
    assert settings.replication_file == environment.get("REPLICATION_FILE")
