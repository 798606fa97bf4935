"""A backup tried out: restored into a server of its own, which is thrown away, and verified there.

`manage.py verify` runs as a process of its own, because settings and connections are a process's.
"""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings

from config.embedded.layout import DATABASE, OWNER, RUNTIME, EmbeddedError
from config.embedded.temporary import temporary_server
from config.lib.db.roles import RoleNames, role_statements
from memory.backup.programs import BackupError, Login, bundled_program, enough_room, run

PROJECT = Path(__file__).resolve().parent.parent.parent
# A backup made in the middle of an import has passages without vectors; that is no damage.
WAITING_MINUTES = 10_000_000


@dataclass(frozen=True, slots=True)
class Server:
    """A server into which a backup goes, by three logins."""

    runtime: str
    owner: str
    superuser: Login


@dataclass(slots=True)
class Outcome:
    """What verification found in a restored backup."""

    findings: int
    checks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def first(self) -> str:
        """The first thing that is wrong, with where it is."""
        for check in self.checks:
            for problem in check["problems"]:
                where = check["workspace"] or check["category"]
                return f"{where}, {check['name']}: {problem}"
        return ""


def role_names() -> RoleNames:
    """What the roles are called, here or on a server of one's own: a backup names them."""
    if settings.EMBEDDED:
        return RoleNames(search=settings.SEARCH_ROLE)
    owner = Login(settings.OWNER_URL).user if settings.OWNER_URL else OWNER
    return RoleNames(owner=owner, runtime=settings.RUNTIME_ROLE, search=settings.SEARCH_ROLE)


@contextlib.contextmanager
def trial_server() -> Iterator[Server]:
    """An empty one with the roles that backups name. Raises BackupError where none starts."""
    names = role_names()
    try:
        # Around its start, which leaves nothing, and within, before what filled the disk is gone.
        with _room(), temporary_server(fsync=False) as urls, _room():
            superuser = Login(_at(urls.superuser, DATABASE))
            runtime, owner = Login(urls.runtime), Login(urls.owner)
            if (names.owner, names.runtime) != (OWNER, RUNTIME):
                password = secrets.token_urlsafe(32)
                with superuser.connect() as connection:
                    for statement in role_statements(
                        names, owner_password=password, runtime_password=password
                    ):
                        connection.execute(statement.encode())
                runtime = Login(_as(urls.runtime, names.runtime, password))
                owner = Login(_as(urls.owner, names.owner, password))
            yield Server(runtime.url, owner.url, superuser)
    except EmbeddedError as error:
        raise BackupError(f"no server to try the backup in: {error}") from None


def _room() -> contextlib.AbstractContextManager[None]:
    folder = Path(tempfile.gettempdir())
    return enough_room(folder, "to try the backup", "or set TMPDIR to a folder with more")


def fill(path: Path, login: Login) -> None:
    """Restore a backup into an empty database that is thrown away when this fails. As the server's
    administrator. Raises BackupError."""
    try:
        run(
            bundled_program("pg_restore"),
            ["--exit-on-error", "--jobs=2", str(path)],
            login=login,
        )
    except BackupError as error:
        raise BackupError(f"{path}: cannot be restored: {error}") from None


def verified(server: Server, *, migrate: bool = False) -> Outcome:
    """What `manage.py verify` finds in a restored database; brought to this release first, if
    asked. Raises BackupError where it cannot be asked."""
    if migrate:
        _manage(["migrate", "--no-input", "--verbosity=0"], server, may_fail=False)
    waiting = f"--waiting={WAITING_MINUTES}"
    said = _manage(["verify", "--json", waiting], server, may_fail=True)
    found = json.loads(said)
    return Outcome(found["findings"], found["checks"])


def _manage(command: list[str], server: Server, *, may_fail: bool) -> str:
    environment = {
        **os.environ,
        "DATABASE_URL": server.runtime,
        "DATABASE_OWNER_URL": server.owner,
        "SECRET_KEY": str(settings.SECRET_KEY),
        "REMEMBRANCER_DATABASE_POOL": "0",
    }
    environment.pop("REMEMBRANCER_DATABASE_LOGIN", None)
    environment.pop("REMEMBRANCER_LIFELINE_FD", None)
    # The embedded server's own; what is restored is none.
    environment.pop("REMEMBRANCER_SINGLE_NODE", None)
    done = subprocess.run(  # noqa: S603  (this interpreter, our program)
        [sys.executable, "manage.py", *command],
        cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if (done.returncode != 0 and not may_fail) or (may_fail and not done.stdout.startswith("{")):
        lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise BackupError(f"`manage.py {command[0]}` failed on the restored copy: {lines[-1]}")
    return done.stdout


def try_out(path: Path, *, migrate: bool = False) -> Outcome:
    """Restore a backup into a server that is thrown away, and verify it there."""
    with trial_server() as server:
        fill(path, server.superuser)
        return verified(server, migrate=migrate)


def _at(url: str, database: str) -> str:
    return _changed(url, dbname=database)


def _as(url: str, user: str, password: str) -> str:
    return _changed(url, user=user, password=password)


def _changed(url: str, **parts: str) -> str:
    """As a URL again, which the settings read; all of these are sockets."""
    found = Login(url).arguments | parts
    base = {name: found.pop(name) for name in ("user", "password", "dbname")}
    who = f"{quote(base['user'], safe='')}:{quote(base['password'], safe='')}"
    query = urlencode(found, safe="/", quote_via=quote)
    return f"postgresql://{who}@/{quote(base['dbname'], safe='')}?{query}"
