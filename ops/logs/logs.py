"""`replicator logs`: the logs of the Lambda and the writers as one stream."""

import json
import time
from typing import Annotated

import typer

from ops.aws import Aws, asking
from ops.console.exit_status import CommandError, exits_with_status
from ops.console.terminal import Output
from ops.console.time_arguments import parse_time
from ops.logs.entries import data_of, line_of
from ops.logs.events import merged
from ops.options import EndpointOption, FunctionOption, JsonLinesOption, RegionOption, StackOption
from ops.pipeline import Pipeline, find_pipeline

_MOMENT = "90s, 15m, 4h, 2d, or a time such as 2026-04-30T17:47, which is UTC unless it says otherwise."

_Groups = Annotated[
    list[str] | None,
    typer.Option(
        "--group",
        metavar="NAME",
        envvar="REPLICATOR_LOG_GROUPS",
        help="A log group, such as the writers'; once for each. Beside that of the Lambda, if it is known.",
        show_default=False,
    ),
]


@exits_with_status
def command(  # noqa: PLR0913 - one parameter per option
    *,
    since: Annotated[str, typer.Option("--since", metavar="MOMENT", help=f"From when on: {_MOMENT}")] = "1h",
    until: Annotated[str, typer.Option("--until", metavar="MOMENT", help="Until when.")] = "0s",
    filter_text: Annotated[
        str,
        typer.Option("--filter", metavar="TEXT", help="Only lines that contain this.", show_default=False),
    ] = "",
    group: _Groups = None,
    as_json: JsonLinesOption = False,
    stack: StackOption = "",
    function: FunctionOption = "",
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Show the logs of the Lambda and the writers, as one, in the order of time.

    They are read from CloudWatch Logs, where the Lambda's are. The writers'
    are there if whoever runs them sends them there: name their log group.
    Times are UTC.

    Exit status: 0, or 2 for wrong use or a log group that cannot be read.
    """
    now = time.time()
    start, end = parse_time(since, now), parse_time(until, now)
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
    for event in merged(aws.logs, groups, start, end):
        if filter_text not in event.text:
            continue
        if as_json:
            typer.echo(json.dumps(data_of(event)))
        else:
            output.print(line_of(event, sources[event.group], width))


def _group_of(aws: Aws, function: str) -> str:
    """The log group of a Lambda function."""
    with asking(f"reading the configuration of the function {function}"):
        found = aws.functions.get_function_configuration(FunctionName=function)
        group = found.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{function}"
    return str(group)
