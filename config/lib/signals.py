"""One announcement: rows were written. Upper apps listen to what lower apps write.

Handlers run in the writer's transaction, so what they derive (a message's passage) commits or
rolls back with it. Not for anything slow: a handler that needs time defers a job on commit.

Of new rows they run while the server still inserts these, where all handlers of a model can: one
that goes by what the database answers (how many rows an update found) cannot, and says `answers`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from config.lib.actor import Actor

Handler = Callable[[Sequence[Any], Actor], None]
_changed: dict[type[Model], list[Handler]] = {}
_deleting: dict[type[Model], list[Handler]] = {}
_answered: set[type[Model]] = set()


@dataclass(frozen=True, slots=True)
class References:
    """Rows of an upper app that point at a row, and follow it when it is merged into another.

    `count(row)` says how many there are. `move(source, target)` moves them and returns, as JSON,
    what `restore(source, target, moved)` needs to put them back.
    """

    name: str
    count: Callable[[Any], int]
    move: Callable[[Any, Any], Any]
    restore: Callable[[Any, Any, Any], None]


_references: dict[type[Model], dict[str, References]] = {}


def on_changed(model: type[Model], handler: Handler, *, answers: bool = False) -> None:
    """Call `handler(rows, actor)` after rows of `model` are written. Once per handler."""
    _add(_changed, model, handler)
    if answers:
        _answered.add(model)


def on_deleting(model: type[Model], handler: Handler) -> None:
    """Call `handler(rows, actor)` before rows of `model` go, and what cascades from them."""
    _add(_deleting, model, handler)


def _add(handlers: dict[type[Model], list[Handler]], model: type[Model], handler: Handler) -> None:
    known = handlers.setdefault(model, [])
    if handler not in known:
        known.append(handler)


def changed(rows: Sequence[Model], actor: Actor) -> None:
    """Announce that `rows`, all of one model, were created or changed."""
    if rows:
        for handler in _changed.get(type(rows[0]), ()):
            handler(rows, actor)


def needs_answers(model: type[Model]) -> bool:
    """Whether a handler of the model's changes goes by what the database answers."""
    return model in _answered


def deleting(rows: Sequence[Model], actor: Actor) -> None:
    """Announce that `rows`, all of one model, are about to go."""
    if rows:
        for handler in _deleting.get(type(rows[0]), ()):
            handler(rows, actor)


def on_merging(model: type[Model], references: References) -> None:
    """Have `references` follow when one row of `model` is merged into another. Once per name."""
    _references.setdefault(model, {})[references.name] = references


def count_references(row: Model) -> dict[str, int]:
    """How many rows of upper apps point at `row`, by name."""
    return {one.name: one.count(row) for one in _references.get(type(row), {}).values()}


def merging(source: Model, target: Model) -> dict[str, Any]:
    """Move what points at `source` to `target`; what was moved, by name, for `unmerging`."""
    return {
        one.name: one.move(source, target) for one in _references.get(type(source), {}).values()
    }


def unmerging(source: Model, target: Model, moved: dict[str, Any]) -> None:
    """Put back what `merging` moved, where it still is."""
    for name, one in _references.get(type(source), {}).items():
        if name in moved:
            one.restore(source, target, moved[name])
