"""What becomes of AttributeValues on their way into a Lambda event.

Source: AWS Lambda developer guide, "Using AWS Lambda with Amazon DynamoDB": the event is JSON, so binary
values are base64 text there; the SDK has bytes.
"""

from __future__ import annotations

import base64
from typing import Any


def in_lambda_event(attributes: dict[str, Any]) -> dict[str, Any]:
    """An item, or its key, as it stands in a Lambda event."""
    return {name: _value(value) for name, value in attributes.items()}


def _value(value: dict[str, Any]) -> dict[str, Any]:
    ((kind, content),) = value.items()
    match kind:
        case "B":
            content = base64.b64encode(content).decode()
        case "BS":
            content = [base64.b64encode(element).decode() for element in content]
        case "L":
            content = [_value(element) for element in content]
        case "M":
            content = in_lambda_event(content)
    return {kind: content}


def from_lambda_event(attributes: dict[str, Any]) -> dict[str, Any]:
    """The way back: an item, or its key, as the SDK has it. Whatever is no AttributeValue raises an error."""
    return {name: sdk_value(value) for name, value in attributes.items()}


def sdk_value(value: dict[str, Any]) -> dict[str, Any]:
    """One AttributeValue of an event, as the SDK has it."""
    ((kind, content),) = value.items()
    match kind:
        case "B":
            content = base64.b64decode(content, validate=True)
        case "BS":
            content = [base64.b64decode(element, validate=True) for element in content]
        case "L":
            content = [sdk_value(element) for element in content]
        case "M":
            content = from_lambda_event(content)
    return {kind: content}
