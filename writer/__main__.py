"""`python -m writer`: puts the writer together. Settings, signals, exit status.

Exit status: 0 after a stop by signal, 1 after an error that only a person can fix, 2 if a setting is wrong.
"""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

from shared import logs
from shared.aws import sqs_client
from shared.errors import FatalError, fatal_reasons
from shared.file_errors import words_of_file_error
from shared.release import VERSION, commit
from writer.context import Context
from writer.mapping.hooks import load_hooks
from writer.mapping.model import Replication
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.mongodb.sink import MongoSink
from writer.recording import Recording, describe_writer
from writer.runtime import SystemClock, done_before, spare_the_collector
from writer.service import Service
from writer.settings import DRAIN_GRACE, HELP, Settings
from writer.side_tasks import log_state, sweep_until_stop, watch_backlog
from writer.sqs.inbox import WAIT_SECONDS, SqsInbox
from writer.status.history import History
from writer.status.page import StatusPage, routes
from writer.status.server import serve
from writer.telemetry.health import Dependency, Health
from writer.telemetry.log_output import LogOutput
from writer.telemetry.metrics import Metrics
from writer.telemetry.observer import Facts, Observers
from writer.telemetry.state_log import StateLog

log = logging.getLogger("writer")

_LAST_LINES = 2.0  # seconds that the end may take until the log is written
_SDK_ATTEMPTS = 3  # tries of one SQS call by the SDK; `Context.retry` repeats calls that still fail
_READ_TIMEOUT = WAIT_SECONDS + 10.0  # seconds; a long poll takes longer than any other call


def main() -> int:
    """Runs the writer until a signal stops it; returns the exit status."""
    form = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser("python -m writer", description=HELP, formatter_class=form).parse_args()
    output = LogOutput(sys.stdout.fileno(), logs.formatter())
    try:
        return _main(output)
    finally:
        logging.shutdown()  # the last lines of its handler
        output.close(_LAST_LINES)


def _main(output: LogOutput) -> int:
    logs.configure("INFO", output)
    try:
        settings, replication = _read_all(os.environ)
        rules = Rules(replication, load_hooks(replication), settings.mongodb_database)
    except FatalError as error:
        log.error("cannot start", extra={"reason": str(error)})  # noqa: TRY400 - a sentence, not a traceback
        return 2
    logs.configure(settings.log_level, output)
    spare_the_collector()
    try:
        asyncio.run(_run(settings, rules, replication.databases, output))
    except Exception as error:
        reasons = fatal_reasons(error)
        for reason in reasons:
            log.error("stopped: this needs a person", extra={"reason": reason})  # noqa: TRY400 - a sentence, not a traceback
        if not reasons:
            log.critical("stopped by a bug in the writer", exc_info=True)
        return 1
    return 0


def _read_all(environment: Mapping[str, str]) -> tuple[Settings, Replication]:
    """Reads the settings and the mapping; one `FatalError` names all mistakes in both."""
    try:
        settings = Settings.read(environment)
    except FatalError as wrong_settings:
        try:
            _read_replication(environment.get("REPLICATION_FILE"))
        except FatalError as wrong_mapping:
            raise FatalError(f"{wrong_settings}; {wrong_mapping}") from wrong_mapping
        raise
    return settings, _read_replication(settings.replication_file)


def _read_replication(path: str | None) -> Replication:
    if not path:
        return Replication()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FatalError(f"REPLICATION_FILE={path!r} cannot be read: {words_of_file_error(error)}") from error
    return parse_replication(text, path)


async def _run(settings: Settings, rules: Rules, databases: Iterable[str], output: LogOutput) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock = SystemClock()
    health = Health(clock)
    facts = Facts(
        VERSION,
        commit(),
        settings.pool_size,
        settings.loops,
        settings.queue_url,
        settings.dead_letter_queue_url,
    )
    metrics = Metrics(facts, health, clock, lambda: output.dropped)
    state = StateLog(health, clock, settings.cloudwatch_metrics)
    history = History(clock)
    context = Context(clock, health, Observers(metrics, state, history), stop)
    page = StatusPage(history, health, clock, facts, stop.is_set)
    pages = routes(page, settings.status_names | {socket.gethostname().lower()})
    # A loop makes at most one call at a time, its lease another one; and one asks for the backlog.
    connections = 2 * settings.loops + 3
    to = settings.mongodb_uri, settings.mongodb_database, settings.pool_size, databases
    sink = MongoSink.connect(*to, settings.mongodb_client)
    try:
        async with (
            serve(settings.status_host, settings.status_port, health, [metrics.route(), *pages]) as port,
            sqs_client(connections, attempts=_SDK_ATTEMPTS, read_timeout=_READ_TIMEOUT) as sqs,
        ):
            try:
                inbox = SqsInbox(sqs, settings.queue_url, settings.dead_letter_queue_url)
                await done_before(stop, _open(context, inbox, sink))
                if not stop.is_set():
                    log.info(
                        "replicating",
                        extra={
                            "version": facts.version,
                            "commit": facts.commit,
                            "loops": settings.loops,
                            "pool_size": settings.pool_size,
                        },
                    )
                    service = Service(context, inbox, sink, rules)
                    status = (settings.status_host, port)
                    me = (uuid.uuid4().hex, settings.queue_url, facts.version, status, sink.server)
                    recording = Recording(context, sink.records, rules, lambda: describe_writer(*me))
                    async with asyncio.TaskGroup() as group:
                        side = [
                            group.create_task(sweep_until_stop(context, sink.sweep), name="sweep"),
                            group.create_task(watch_backlog(context, inbox.backlog), name="backlog"),
                            group.create_task(log_state(context, state), name="state"),
                            group.create_task(recording.run(), name="recording"),
                        ]
                        await service.run(settings.loops, DRAIN_GRACE)
                        for task in side:
                            task.cancel()
                    await recording.end()
            finally:
                state.write()  # before the status server ends, which can take a while
    finally:
        await sink.aclose()
    log.info("stopped")


async def _open(context: Context, inbox: SqsInbox, sink: MongoSink) -> None:
    """Waits for dependencies that start later than we do."""
    if await context.retry(inbox.open, Dependency.SQS):
        await context.retry(sink.open, Dependency.MONGODB)


if __name__ == "__main__":
    sys.exit(main())
