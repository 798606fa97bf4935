"""Restoring: what was there stays until all of the backup is there and verified, or for good.

The embedded database is restored into a new cluster beside the old one, which is then put aside
under a name with the date: also the way from one major version of PostgreSQL to the next. A
database on a server of one's own is restored in one transaction.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import psycopg
from django.conf import settings

from config.embedded.accounts import admit, server_account
from config.embedded.layout import (
    DATABASE,
    SUPERUSER,
    EmbeddedError,
    Paths,
    connection_urls,
    ensure_secrets,
    socket_url,
    sync_directory,
)
from config.embedded.leftovers import clear_leftovers
from config.embedded.preflight import DataDirLock
from config.embedded.provision import provision
from config.embedded.server import FORMER, PostgresServer, cluster_major
from config.lib import clock
from config.lib.db.roles import grant_statements
from config.lib.text import visible
from memory.backup.dump import require_backup
from memory.backup.programs import BackupError, Login, enough_room, program_for, run
from memory.backup.trial import Outcome, Server, fill, role_names, try_out, verified

CONNECTIONS = 30
# What a database must not have to count as empty: anything but what extensions brought.
_OBJECTS = (
    "SELECT count(*) FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace "
    "AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND NOT EXISTS (SELECT FROM pg_depend d "
    "WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"
)


@dataclass(frozen=True, slots=True)
class Restored:
    """What verification found, and where the former cluster is, if there was one."""

    outcome: Outcome
    former: Path | None = None


def restore(path: Path, *, force: bool = False) -> Restored:
    """Put a backup in the place of the database. Raises BackupError with everything as it was.

    Without `force` only where there is no database yet, or an empty one.
    """
    require_backup(path)
    if settings.EMBEDDED:
        return _restore_embedded(path, settings.DATA_DIR, force=force)
    return Restored(_restore_external(path))


# --- The embedded server ----------------------------------------------------------------------


def _restore_embedded(path: Path, data_dir: Path, *, force: bool) -> Restored:
    paths = Paths(data_dir)
    try:
        lock = DataDirLock(data_dir)
    except EmbeddedError as error:
        raise BackupError(f"a database that runs is not replaced: {error}") from None
    try:
        if paths.cluster.exists() and not force:
            raise BackupError(
                f"{paths.cluster}: there is a database already (PostgreSQL "
                f"{cluster_major(paths.cluster) or 'unknown'}); --force puts it aside, under a "
                "name with the date, and restores the backup in its place"
            )
        ensure_secrets(data_dir)
        clear_leftovers(paths.cluster)
        with _new_cluster(data_dir) as (made, server):
            outcome = _fill_cluster(path, made, server, data_dir)
            former = _swap(paths, made)
    except EmbeddedError as error:
        raise BackupError(str(error)) from None
    except OSError as error:
        raise BackupError(
            f"{data_dir}: {error.strerror}; the database was left as it was"
        ) from None
    finally:
        lock.release()
    return Restored(outcome, former)


@contextlib.contextmanager
def _new_cluster(data_dir: Path) -> Iterator[tuple[Path, PostgresServer]]:
    """A server on a cluster of its own inside the data directory; all of it gone afterwards but
    what was moved away. On the same disk, so that moving is renaming."""
    for left in data_dir.glob("restoring-*"):
        clear_leftovers(Paths(left).cluster)
        shutil.rmtree(left)
    admit(server_account(data_dir), data_dir)
    folder = Path(tempfile.mkdtemp(prefix="restoring-", dir=data_dir))
    server = PostgresServer(
        folder,
        superuser_password=ensure_secrets(data_dir).superuser_password,
        max_connections=CONNECTIONS,
    )
    again = "and restore again: the database was left as it was"
    try:
        with enough_room(data_dir, "to restore beside the database", again):
            server.prepare()
            server.spawn()
            server.wait_ready()
            yield folder, server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(Paths(folder).sockets, ignore_errors=True)


def _fill_cluster(path: Path, made: Path, server: PostgresServer, data_dir: Path) -> Outcome:
    provision(server.superuser_url, ensure_secrets(data_dir))
    sockets = str(Paths(data_dir).sockets)
    runtime, owner = (
        url.replace(sockets, str(Paths(made).sockets)) for url in connection_urls(data_dir)
    )
    superuser = socket_url(
        Paths(made).sockets,
        user=SUPERUSER,
        password=server.superuser_password,
        database=DATABASE,
    )
    fill(path, Login(superuser))
    outcome = verified(Server(runtime, owner, Login(superuser)), migrate=True)
    _require_whole(path, outcome)
    with Login(superuser).connect() as connection:
        connection.execute("ANALYZE")
    server.stop()
    return outcome


def _swap(paths: Paths, made: Path) -> Path | None:
    """The new cluster in the place of the old one. Killed between the two renames, there is no
    cluster, and both are there by name."""
    former: Path | None = None
    if paths.cluster.exists():
        stamp = f"{clock.now().astimezone(UTC):%Y%m%d-%H%M%S}Z"
        former = paths.cluster.with_name(f"{paths.cluster.name}{FORMER}{stamp}")
        os.rename(paths.cluster, former)
    try:
        os.rename(Paths(made).cluster, paths.cluster)
    except OSError:
        if former is not None:
            os.rename(former, paths.cluster)
        raise
    sync_directory(paths.root)
    return former


def _require_whole(path: Path, outcome: Outcome) -> None:
    if outcome.findings:
        raise BackupError(
            f"{path}: verification found {outcome.findings:,} wrong in it, first "
            f"{visible(outcome.first)}; the database was left as it was"
        )


# --- A server of one's own --------------------------------------------------------------------


def _restore_external(path: Path) -> Outcome:
    """Into an empty database only, as the owner of the tables: what is there is for the server's
    administrator to drop or to keep under another name."""
    if settings.OWNER_URL is None:
        raise BackupError("DATABASE_OWNER_URL: needed to restore; the role that owns the tables")
    owner = Login(settings.OWNER_URL)
    with owner.connect() as connection:
        (objects,) = connection.execute(_OBJECTS).fetchone() or (0,)
        (version,) = connection.execute(
            "SELECT current_setting('server_version_num')::int / 10000"
        ).fetchone() or (0,)
    if objects:
        raise BackupError(
            f"{owner.database}: is not empty ({objects:,} tables and sequences); make an empty "
            "database (docs/production.md, Restoring on a server of your own) and name it in "
            "DATABASE_URL and DATABASE_OWNER_URL"
        )
    outcome = try_out(path, migrate=True)
    _require_whole(path, outcome)
    program = program_for("pg_restore", version, owner)
    # Comments are on the extension, which is not the owner's; the schema is the administrator's.
    listed = run(program, ["--list", str(path)]).decode().splitlines()
    wanted = [line for line in listed if not _not_ours(line)]
    # The search functions, which see every workspace, are given away before their grants come,
    # and what of a grant is not the owner's PostgreSQL only warns of: everybody might call them.
    theirs = [
        line for line in wanted if " ACL " in line and line.endswith(f" {settings.SEARCH_ROLE}")
    ]
    with _no_default_privileges(owner):
        _restore_listed(program, path, owner, [one for one in wanted if one not in theirs])
        _restore_listed(program, path, owner, theirs, f"--role={settings.SEARCH_ROLE}")
    with contextlib.suppress(psycopg.Error), owner.connect() as connection:
        connection.execute("ANALYZE")
    return outcome


def _restore_listed(
    program: Path, path: Path, owner: Login, lines: Sequence[str], *options: str
) -> None:
    """Those of the backup's objects, all or none."""
    with tempfile.NamedTemporaryFile("w", suffix=".list") as chosen:
        chosen.write("\n".join(lines) + "\n")
        chosen.flush()
        listed = f"--use-list={chosen.name}"
        transaction = ["--single-transaction", "--exit-on-error"]
        run(program, [*transaction, *options, listed, str(path)], login=owner)


@contextlib.contextmanager
def _no_default_privileges(owner: Login) -> Iterator[None]:
    """The backup grants what each table needs and brings the default privileges at its end. Those
    that an empty database has from `dbroles` would widen the grants of append-only tables."""
    given = [
        statement
        for statement in grant_statements(role_names())
        if statement.startswith("ALTER DEFAULT PRIVILEGES")
    ]
    with owner.connect() as connection:
        for statement in given:
            taken = statement.replace(" GRANT ", " REVOKE ").replace(" TO ", " FROM ")
            connection.execute(taken.encode())
    try:
        yield
    except BaseException:
        with owner.connect() as connection:
            for statement in given:
                connection.execute(statement.encode())
        raise


def _not_ours(line: str) -> bool:
    return any(part in line for part in (" EXTENSION ", " SCHEMA - ", " ACL - SCHEMA "))
