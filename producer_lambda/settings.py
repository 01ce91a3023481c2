"""The producer's settings: one frozen object, read from an environment. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.settings import LOG_LEVELS, Reader

MAX_LANES = 100_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What `lambda_handler` runs on.

    Attributes:
        queue_url: the FIFO queue.
        dead_letter_queue_url: where records that cannot be sent are parked.
        lanes: number of message groups per table; 0: one per key.
        old_image_fields: attributes whose old values travel with a change.
        log_level: one of `shared.settings.LOG_LEVELS`.
        function_name: of the Lambda function, which Lambda itself sets; None elsewhere.
    """

    queue_url: str
    dead_letter_queue_url: str
    lanes: int
    old_image_fields: frozenset[str]
    log_level: str
    function_name: str | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Settings":
        """Reads and checks all settings.

        Raises:
            FatalError: something is missing or wrong; every mistake is named.
        """
        reader = Reader(environment)
        fields = reader.optional("OLD_IMAGE_FIELDS") or ""
        settings = cls(
            queue_url=reader.text("QUEUE_URL", "the URL of the FIFO queue"),
            dead_letter_queue_url=reader.text("DEAD_LETTER_QUEUE_URL", "the URL of its dead-letter queue"),
            lanes=reader.integer("LANES", 64, 0, MAX_LANES),
            old_image_fields=frozenset(name.strip() for name in fields.split(",") if name.strip()),
            log_level=reader.choice("LOG_LEVEL", "INFO", LOG_LEVELS),
            function_name=reader.optional("AWS_LAMBDA_FUNCTION_NAME"),
        )
        urls = {"QUEUE_URL": settings.queue_url, "DEAD_LETTER_QUEUE_URL": settings.dead_letter_queue_url}
        for name, url in urls.items():
            if url and not url.endswith(".fifo"):
                reader.problem(f"{name}={url!r} is not the URL of a FIFO queue: it does not end in .fifo")
        reader.finish()
        return settings
