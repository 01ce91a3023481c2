"""What the writers have noted in MongoDB, for commands: which writers run, and by which rules they replicate.

Law: it reads, and writes nothing. What was noted is not trusted (`writer.records`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from writer.mongodb.records import Records, open_database

if TYPE_CHECKING:
    from datetime import datetime

    from writer.records import Found, WriterRecord


async def running_writers(uri: str, database: str) -> tuple[Found[WriterRecord], datetime]:
    """The writers that have a record in the database of the settings, and the time by MongoDB's clock.

    How old `seen` may be by that clock, and whose `queue` counts, is for the caller to say;
    `WriterRecord.url_from` says where to ask a writer.

    Raises:
        FatalError: MongoDB refuses us, or the URI cannot be used.
        TransientError: MongoDB does not answer.
    """
    with open_database(uri, database) as found:
        records = Records(found)
        now = await records.now()
        return await records.writers(), now
