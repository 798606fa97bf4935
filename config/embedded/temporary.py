"""A throwaway embedded server for tests and benchmarks.

Everything is in one temporary folder, and goes with it: a guard process is the server's parent,
and stops it and removes the folder when told to, and also when whoever asked for it is killed.
Not for data anyone wants to keep.
"""

import argparse
import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from config.embedded import tuning
from config.embedded.layout import EmbeddedError, Paths, connection_urls, ensure_secrets
from config.embedded.provision import provision
from config.embedded.server import PostgresServer

CONNECTIONS = 120
READY = b"ready\n"
PROJECT = Path(__file__).resolve().parent.parent.parent
# A throwaway server has nothing to flush: what is lost is thrown away anyway.
STOP_SECONDS = 5.0


@dataclass(frozen=True)
class TemporaryUrls:
    """Unpacks as (runtime, owner, superuser)."""

    runtime: str
    owner: str
    superuser: str
    data_dir: Path

    def __iter__(self) -> Iterator[str]:
        return iter((self.runtime, self.owner, self.superuser))


@contextlib.contextmanager
def temporary_server(
    *, fsync: bool = True, max_connections: int = CONNECTIONS
) -> Iterator[TemporaryUrls]:
    """A running server with roles and database; the owner may create (test) databases.

    `fsync=False` makes tests faster and is only for what a crash may lose. The extension and the
    default privileges are in template1, so databases that the owner makes have them too.
    """
    # pytest's own temporary folders are closed to other accounts, and root runs it as another.
    folder = Path(tempfile.mkdtemp(prefix="remembrancer-test-"))
    guard = subprocess.Popen(  # noqa: S603  (this interpreter, this module)
        [
            *(sys.executable, "-m", __name__, str(folder)),
            *("--connections", str(max_connections)),
            *(() if fsync else ("--no-fsync",)),
        ],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C in pytest lets the tests' teardown finish first
    )
    assert guard.stdin is not None
    assert guard.stdout is not None
    try:
        said = guard.stdout.readline()
        if said != READY:
            guard.wait()
            reason = said.decode(errors="replace").strip() or "its error is above"
            raise EmbeddedError(f"the temporary PostgreSQL did not start: {reason}")
        runtime, owner = connection_urls(folder)
        yield TemporaryUrls(runtime, owner, _superuser_url(folder), folder)
    finally:
        guard.stdin.close()  # what the guard waits for
        guard.stdout.close()
        guard.wait()


def _server(folder: Path, max_connections: int, *, fsync: bool) -> PostgresServer:
    extra = {**tuning.THROWAWAY, **({} if fsync else {"fsync": "off", "full_page_writes": "off"})}
    return PostgresServer(
        folder,
        superuser_password=ensure_secrets(folder).superuser_password,
        max_connections=max_connections,
        extra_settings=extra,
    )


def _superuser_url(folder: Path) -> str:
    return _server(folder, CONNECTIONS, fsync=True).superuser_url


def _guard(folder: Path, max_connections: int, *, fsync: bool) -> None:
    """Runs the server until standard input ends, then removes every trace of it."""
    # A polite stop of the guard itself cleans up like any other end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = _server(folder, max_connections, fsync=fsync)
    sockets = Paths(folder).sockets
    try:
        server.prepare(durable=False)
        server.spawn()
        server.wait_ready()
        provision(server.superuser_url, ensure_secrets(folder), owner_may_create_databases=True)
        os.write(sys.stdout.fileno(), READY)
        select.select([sys.stdin.fileno()], [], [])
    finally:
        server.stop(STOP_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(sockets, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--no-fsync", action="store_true")
    options = parser.parse_args()
    try:
        _guard(options.folder, options.connections, fsync=not options.no_fsync)
    except (EmbeddedError, OSError) as error:
        sys.stdout.write(f"{error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
