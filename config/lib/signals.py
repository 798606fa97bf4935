"""One announcement: rows were written. Upper apps listen to what lower apps write.

Handlers run in the writer's transaction, so what they derive (a message's passage) commits or
rolls back with it. Not for anything slow: a handler that needs time defers a job on commit.
"""

from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import Model

from config.lib.actor import Actor

Handler = Callable[[Sequence[Any], Actor], None]
_changed: dict[type[Model], list[Handler]] = {}
_deleting: dict[type[Model], list[Handler]] = {}


def on_changed(model: type[Model], handler: Handler) -> None:
    """Call `handler(rows, actor)` after rows of `model` are written. Once per handler."""
    _add(_changed, model, handler)


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


def deleting(rows: Sequence[Model], actor: Actor) -> None:
    """Announce that `rows`, all of one model, are about to go."""
    if rows:
        for handler in _deleting.get(type(rows[0]), ()):
            handler(rows, actor)
