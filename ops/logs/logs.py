"""`replicator logs`: the logs of the Lambda and the writers as one stream."""

import functools
import json
import time
from typing import Annotated

import typer

from ops.aws import CHECK_WHERE, Aws, asking, code_of
from ops.console.exit_status import CommandError, exits_with_status, warn
from ops.console.terminal import Output, count
from ops.console.time_arguments import parse_time
from ops.logs.entries import data_of, is_of_platform, line_of
from ops.logs.events import events_of, merged
from ops.logs.follow import follow
from ops.options import EndpointOption, FunctionOption, JsonLinesOption, RegionOption, StackOption
from ops.pipeline import Pipeline, find_pipeline

_MOMENT = "90s, 15m, 4h, 2d, or a time such as 2026-04-30T17:47, in UTC unless it has an offset."

_BETWEEN_LOOKS = 2.0  # seconds

_Groups = Annotated[
    list[str] | None,
    typer.Option(
        "--group",
        metavar="NAME",
        envvar="REPLICATOR_LOG_GROUPS",
        help="A log group, such as the writers', besides the Lambda's. Repeat the option for more.",
        show_default=False,
    ),
]


@exits_with_status
def command(  # noqa: PLR0913 - one parameter per option
    *,
    since: Annotated[
        str, typer.Option("--since", metavar="MOMENT", help=f"The earliest time: {_MOMENT}")
    ] = "1h",
    until: Annotated[
        str,
        typer.Option(
            "--until", metavar="MOMENT", help="The latest time; by default now.", show_default=False
        ),
    ] = "",
    filter_text: Annotated[
        str,
        typer.Option("--filter", metavar="TEXT", help="Only lines that contain this.", show_default=False),
    ] = "",
    group: _Groups = None,
    follow_new: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep showing new lines until Ctrl-C.")
    ] = False,
    every_line: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Also lines of the Lambda platform, and lines that carry metrics for CloudWatch.",
        ),
    ] = False,
    as_json: JsonLinesOption = False,
    stack: StackOption = "",
    function: FunctionOption = "",
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Show the logs of the Lambda and the writers together, in time order.

    They are read from CloudWatch Logs, where the Lambda's logs are. If you
    send the writers' logs there, too, name their log group. Times are UTC.
    Lines in which Lambda itself reports the start or the successful end of an
    invocation are left out. With --follow a line is shown when it arrives, up
    to two minutes after newer ones.

    Exit status: 0, or 2 for wrong use or a log group that cannot be read; 130
    after Ctrl-C.
    """
    if follow_new and until:
        raise CommandError("--follow has no end: leave out --until")
    now = time.time()
    start, end = parse_time(since, now), parse_time(until or "0s", now)
    if start > end:
        raise CommandError("--since is later than --until")
    aws = Aws(endpoint_url, region)
    parts = find_pipeline(aws, stack, Pipeline(function=function))
    of_function = _group_of(aws, parts.function) if parts.function else ""
    groups = list(dict.fromkeys([*([of_function] if of_function else []), *(group or [])]))
    if not groups:
        raise CommandError("which logs? Give --stack NAME, --function NAME or --group NAME")
    sources = {name: "lambda" if name == of_function else name.rsplit("/", 1)[-1] for name in groups}
    width = max(map(len, sources.values()))
    output = Output()
    found = hidden = 0
    if follow_new:
        warn(f"Following {', '.join(groups)}; Ctrl-C ends.")
        read = functools.partial(events_of, aws.logs)
        pause = functools.partial(time.sleep, _BETWEEN_LOOKS)
        events = follow(read, groups, start, lambda: round(time.time() * 1000), pause)
    else:
        events = merged(aws.logs, groups, start, end)
    for event in events:
        if filter_text not in event.text:
            continue
        if not every_line and is_of_platform(event):
            hidden += 1
            continue
        found += 1
        if as_json:
            typer.echo(json.dumps(data_of(event, metrics=every_line)))
        else:
            output.print(line_of(event, sources[event.group], width, metrics=every_line))
    left_out = (
        f", and {count(hidden, 'line')} of the Lambda platform hidden (--all shows them)" if hidden else ""
    )
    warn(f"{count(found, 'line') if found else 'No line'} in {', '.join(groups)}{left_out}.")


def _group_of(aws: Aws, function: str) -> str:
    """The log group of a Lambda function."""
    try:
        with asking(f"reading the configuration of the function {function}"):
            found = aws.functions.get_function_configuration(FunctionName=function)
            return str(found.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{function}")
    except CommandError as error:
        if code_of(error) == "ResourceNotFoundException":
            where = f" in the region {aws.functions.meta.region_name}{CHECK_WHERE}"
            raise CommandError(f"there is no Lambda function {function}{where}") from error
        raise
