"""Hooks: the user's Python functions, which have the last word on a document.

    def hook(document: dict[str, Any], change: Change) -> dict[str, Any] | None

The document has the fields that would be written, without `_id` and metadata. The hook may change and return
it, return another one, or return None: then the item is not replicated, and its document is removed. It may
be called more than once for a change, and blocks the writer while it runs, so it must not wait. If it raises
an error, the record is parked.
"""

import copy
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from shared.change import Change
from shared.errors import PoisonError
from writer.mapping.model import Replication
from writer.mapping.problems import MappingError, Mistake, did_you_mean

Document = dict[str, Any]
Hook = Callable[[Document, Any], Document | None]


def load_hooks(replication: Replication) -> Mapping[str, Hook]:
    """Imports the hooks that a mapping names.

    Returns:
        The functions, by their names in the file.

    Raises:
        MappingError: some cannot be imported, or cannot be called with a document and a change.
    """
    rules = replication.tables.items()
    return load_named_hooks({table: rule.hook for table, rule in rules if rule.hook is not None})


def load_named_hooks(names: Mapping[str, str]) -> Mapping[str, Hook]:
    """As `load_hooks`, of the names of hooks by table."""
    hooks: dict[str, Hook] = {}
    mistakes = []
    for table, name in names.items():
        try:
            hooks[name] = _load(name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever importing a module raises
            mistakes.append(Mistake(f"tables.{table}.hook", f"{name}: {_why(error)}"))
    if mistakes:
        raise MappingError(mistakes)
    return hooks


def call(hook: Hook, document: Document, change: Change) -> Document | None:
    """Calls a hook with a copy of the document.

    Raises:
        PoisonError: ``hook-failed``: it raised an error, or did not return a document without `_id`.
    """
    try:
        result = hook(copy.deepcopy(document), change)
    except BaseException as error:  # whatever it is: a hook must not end the writer
        raise PoisonError("hook-failed", f"the hook raised {_described(error)}") from error
    if result is None:
        return None
    if not isinstance(result, dict):
        raise PoisonError(
            "hook-failed", f"the hook returned a {type(result).__name__}, not a document or None"
        )
    if not all(isinstance(name, str) for name in result):
        raise PoisonError("hook-failed", "the hook returned a document with a name that is no text")
    if "_id" in result:
        raise PoisonError("hook-failed", "the hook returned an _id: that is made of the item's key")
    return result


class _NoHookError(Exception):
    """Something that is not a hook; the text says why."""


def _load(name: str) -> Hook:
    module_name, _, function_name = name.partition(":")
    module = importlib.import_module(module_name)
    function = getattr(module, function_name, None)
    if not callable(function):
        functions = [each for each, value in vars(module).items() if callable(value)]
        guess = did_you_mean(function_name, functions)
        raise _NoHookError(f"the module has no function {function_name}{guess}")
    if inspect.iscoroutinefunction(function):
        raise _NoHookError("it is async; a hook computes, it does not wait")
    try:
        inspect.signature(function).bind({}, None)
    except TypeError as error:
        raise _NoHookError(f"it is not called with a document and a change: {error}") from error
    except ValueError:  # some callables have no signature
        pass
    hook: Hook = function
    return hook


def _described(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {str(error)[:500]}"
    except Exception:  # noqa: BLE001 - an error that cannot even be printed
        return type(error).__name__


def _why(error: BaseException) -> str:
    return str(error) if isinstance(error, _NoHookError) else f"{type(error).__name__}: {error}"
