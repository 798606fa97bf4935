"""When this thread waits for the database: then other threads of the process may work."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection


@contextlib.contextmanager
def around_waits(begin: Callable[[], None], end: Callable[[], None]) -> Iterator[None]:
    """Until the block ends, `begin` is called before each wait of this thread's connection for the
    server, and `end` after it. A connection that is made anew meanwhile calls neither."""
    connection.ensure_connection()
    server: Any = connection.connection
    original = server.wait

    def wait(*args: Any, **options: Any) -> Any:
        begin()
        try:
            return original(*args, **options)
        finally:
            end()

    # psycopg waits here and nowhere else, for statements, for pipelines and for commits.
    server.wait = wait
    try:
        yield
    finally:
        server.__dict__.pop("wait", None)
