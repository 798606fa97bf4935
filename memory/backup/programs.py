"""PostgreSQL's client programs: which to run, as which login, and their errors in one line.

Passwords go through the environment: a command line is there for everyone to read.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from config.embedded.layout import (
    DATABASE,
    SUPERUSER,
    EmbeddedError,
    Paths,
    load_secrets,
    socket_url,
)
from config.embedded.server import MAJOR, programs
from config.lib.disk import nearly_full, says_full
from config.lib.errors import DomainError
from config.lib.redact import redact_text

# Written without encryption and so for a socket or a trusted network only.
_NEEDS_TLS = {"require", "verify-ca", "verify-full"}
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_RLS_HINT = (
    "CREATE ROLE app_backup LOGIN BYPASSRLS PASSWORD '...'; GRANT pg_read_all_data TO app_backup;"
)


class BackupError(DomainError):
    """A backup cannot be made, read or restored; the message is one line and says what to do."""


@dataclass(frozen=True, slots=True)
class Login:
    """A database as one role reaches it."""

    url: str

    @property
    def arguments(self) -> dict[str, str]:
        return {name: str(value) for name, value in conninfo_to_dict(self.url).items()}

    @property
    def database(self) -> str:
        return self.arguments.get("dbname", "")

    @property
    def user(self) -> str:
        return self.arguments.get("user", "")

    @property
    def option(self) -> str:
        """For --dbname, without the password."""
        shown = {name: v for name, v in self.arguments.items() if name != "password"}
        return f"--dbname={make_conninfo('', **shown)}"

    @property
    def environment(self) -> dict[str, str]:
        kept = ("PATH", "HOME", "PGSSLROOTCERT", "PGSSLMODE", "PGPASSFILE", "TMPDIR")
        found = {name: os.environ[name] for name in kept if name in os.environ}
        password = self.arguments.get("password")
        return {**found, "LC_ALL": "C", **({"PGPASSWORD": password} if password else {})}

    def connect(self, database: str = "") -> psycopg.Connection:
        """Raises BackupError where it cannot be reached."""
        url = make_conninfo(self.url, dbname=database) if database else self.url
        try:
            return psycopg.connect(url, autocommit=True, connect_timeout=10)
        except psycopg.OperationalError as error:
            hint = "; is it running (`make run`)?" if settings.EMBEDDED else ""
            raise BackupError(f"the database cannot be reached: {_first(error)}{hint}") from None


def backup_login() -> Login:
    """The login that may read every row: the embedded server's administrator, else
    DATABASE_BACKUP_URL or the owner's. Raises BackupError where there is none."""
    if settings.EMBEDDED:
        return superuser_login(settings.DATA_DIR)
    url = settings.BACKUP_URL or settings.OWNER_URL
    if url is None:
        raise BackupError(
            "DATABASE_BACKUP_URL: needed to back up a server of your own; a role with BYPASSRLS "
            "(docs/production.md)"
        )
    return Login(url)


def superuser_login(data_dir: Path) -> Login:
    """The embedded server's administrator, in the product's database."""
    secrets = load_secrets(data_dir)
    if secrets is None:
        raise BackupError(f"{data_dir}: there is no database yet; `make run` makes one")
    url = socket_url(
        Paths(data_dir).sockets,
        user=SUPERUSER,
        password=secrets.superuser_password,
        database=DATABASE,
    )
    return Login(url)


def major_of(login: Login) -> int:
    """The server's major version, of a login that row-level security does not hold."""
    with login.connect() as connection:
        row = connection.execute(
            "SELECT current_setting('server_version_num')::int / 10000, rolsuper OR rolbypassrls "
            "FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert row is not None
    if not row[1]:
        raise BackupError(
            f"{login.user}: row-level security holds this role, so it sees no rows to back up; as "
            f"the server's administrator run: {_RLS_HINT} and set DATABASE_BACKUP_URL to it"
        )
    return int(row[0])


def program_for(name: str, major: int, login: Login) -> Path:
    """`pg_dump` (say) that is not older than the server. Raises BackupError."""
    found = shutil.which(name)
    theirs = _major(Path(found)) if found else None
    bundled = major <= MAJOR and login.arguments.get("sslmode") not in _NEEDS_TLS
    if settings.EMBEDDED or (bundled and (theirs is None or theirs < major)):
        return bundled_program(name)
    if found is None or theirs is None:
        raise BackupError(
            f"{name} is not installed; install PostgreSQL {major}'s client programs (on Debian and "
            f"Ubuntu: apt install postgresql-client-{major})"
        )
    if theirs < major:
        raise BackupError(
            f"{found}: is of PostgreSQL {theirs} and older than the server ({major}); install "
            f"PostgreSQL {major}'s client programs (on Debian and Ubuntu: apt install "
            f"postgresql-client-{major}) and put them first in PATH"
        )
    return Path(found)


def bundled_program(name: str) -> Path:
    """The embedded server's own."""
    try:
        return programs() / name
    except EmbeddedError as error:
        raise BackupError(str(error)) from None


def run(
    program: Path,
    arguments: Sequence[str],
    *,
    login: Login | None = None,
) -> bytes:
    """What it wrote. Raises BackupError with what it complained of first."""
    try:
        done = subprocess.run(  # noqa: S603  (PostgreSQL's program, arguments from here)
            [str(program), *([login.option, "--no-password"] if login else []), *arguments],
            env=login.environment if login else {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise BackupError(f"{program}: cannot be run ({error.strerror})") from None
    if done.returncode < 0:
        killed = signal.Signals(-done.returncode).name
        raise BackupError(f"{program.name} was killed ({killed}); nothing was made of it")
    if done.returncode != 0:
        raise BackupError(f"{program.name} failed: {_complaint(done.stderr)}")
    return done.stdout


@contextlib.contextmanager
def enough_room(folder: Path, what: str, otherwise: str) -> Iterator[None]:
    """Around what fills the disk of a folder: where it is full, that is the reason, however a
    program or a server that had to stop says it."""
    try:
        yield
    except (BackupError, EmbeddedError, OSError) as error:
        if not says_full(error) and not nearly_full(folder):
            raise
        raise BackupError(f"no space left {what} in {folder}: free some, {otherwise}") from None


def _major(program: Path) -> int | None:
    try:
        said = run(program, ["--version"]).decode(errors="replace")
    except BackupError:
        return None
    found = _VERSION.search(said)
    return int(found[1]) if found else None


def _complaint(said: bytes) -> str:
    lines = said.decode(errors="replace").splitlines()
    telling = [line for line in lines if "error:" in line or "FATAL" in line] or lines
    line = telling[0] if telling else "it said nothing"
    return redact_text(line.split("error: ", 1)[-1].strip())[:500]


def _first(error: Exception) -> str:
    return redact_text((str(error).strip().splitlines() or ["no answer"])[0])
