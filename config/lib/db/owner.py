"""The tables' owner in a process of the runtime role, for the little that only the owner may.

Not for migrations, whose process logs in as the owner from its start.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import environ
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.utils import load_backend

from config.lib.errors import Conflict
from config.lib.scope import in_scope


def require_owner(what: str) -> None:
    """Raises Conflict where no owner's login is known."""
    if settings.OWNER_URL is None:
        raise Conflict(
            f"DATABASE_OWNER_URL is needed: only the owner of the tables may {what}.",
            code="no_owner_login",
        )


@contextmanager
def as_owner(what: str) -> Iterator[Any]:
    """Everything this thread does with the database inside is done by the owner's login, on a
    connection of its own; given is the runtime role's, for what must be seen before the end.

    Outside any scope: one is entered inside, since row-level security holds the owner too.
    """
    require_owner(what)
    if in_scope():
        raise RuntimeError("the owner's login is taken outside any workspace's scope")
    held = connections[DEFAULT_DB_ALIAS]
    parsed: dict[str, Any] = environ.Env.db_url_config(settings.OWNER_URL)
    options = dict(parsed.get("OPTIONS", {}))
    host = options.pop("host", None) or unquote(parsed.get("HOST", ""))
    login: dict[str, Any] = {
        **held.settings_dict,
        **{name: parsed[name] for name in ("NAME", "USER", "PASSWORD", "PORT") if name in parsed},
        "HOST": host,
        # Without a pool: it is used for a moment, and seldom.
        "OPTIONS": {**options, "application_name": "remembrancer"},
        "CONN_MAX_AGE": 0,
    }
    owner = load_backend(login["ENGINE"]).DatabaseWrapper(login, DEFAULT_DB_ALIAS)
    connections[DEFAULT_DB_ALIAS] = owner
    try:
        yield held
    finally:
        connections[DEFAULT_DB_ALIAS] = held
        owner.close()
