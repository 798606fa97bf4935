"""What `manage.py serve` runs: one process that owns PostgreSQL, the web server and the jobs.

It starts them in order, keeps them running, and stops them in order. It knows no models: what
happens between a running database and a running web server (migrations, the first rows) is
handed in as a function. Not for what each of them does.
"""

import http.client
import logging
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

from config.embedded.children import Child, Lifeline, describe_end, drain
from config.embedded.layout import EmbeddedError, Paths, ensure_secrets
from config.embedded.leftovers import clear_leftovers
from config.embedded.preflight import DataDirLock, check_port
from config.embedded.provision import provision
from config.embedded.server import PostgresServer, require_our_major

log = logging.getLogger("remembrancer.serve")

GUNICORN = ["-m", "gunicorn", "-c", "python:config.gunicorn"]
JOBS = ["manage.py", "runjobs"]
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
POLL_SECONDS = 0.05
IDLE_POLL_SECONDS = 0.5
PROBE_TIMEOUT_SECONDS = 2.0
HOUSEKEEPING_SECONDS = 60.0
# During the start a child that cannot stand is a mistake to show, not to repeat for ever.
STARTUP_FAILURES = 2
# gunicorn ends its workers itself when the drain is over; this is for that to happen.
DRAIN_MARGIN_SECONDS = 3.0
# Between attempts to bring PostgreSQL back, when an attempt fails (a full disk, say).
DATABASE_PAUSE_SECONDS = 5.0


@dataclass(frozen=True)
class Options:
    """What the settings say that matters here."""

    data_dir: Path
    host: str
    port: int
    embedded: bool
    host_header: str
    max_connections: int
    shutdown_seconds: float


class HurriedError(Exception):
    """Asked to stop a second time, in the middle of preparing the database."""


class Supervisor:
    """Call `run()` once, from the main thread.

    `prepare_database` is called when the database answers; `ready` when the web server does;
    both in this process.
    """

    def __init__(
        self,
        options: Options,
        *,
        prepare_database: Callable[[], None],
        ready: Callable[[float], None],
    ) -> None:
        self.options = options
        self.prepare_database = prepare_database
        self.ready = ready
        self.stop_requests = 0
        self.lock: DataDirLock | None = None
        self.server: PostgresServer | None = None
        self.children: list[Child] = []
        self._wakeup, self._wakeup_end = os.pipe()
        self._interruptible = False
        self._database_due = 0.0
        self._housekeeping_due = 0.0

    # --- The whole of it ------------------------------------------------------------------------

    def run(self) -> None:
        """Returns after an orderly stop. Raises EmbeddedError when it cannot start."""
        begun = time.monotonic()
        previous = self._install_signals()
        lifeline = Lifeline()
        try:
            self._start_database()
            if not self.stopping:
                self._run_preparation()
            if not self.stopping:
                self._start_child("the web server", GUNICORN, lifeline)
            if self._wait_web():
                self.ready(time.monotonic() - begun)
                # Not before: on two cores its imports would hold up the web server's.
                self._start_child("the job worker", JOBS, lifeline)
            while not self.stopping:
                self._keep_running()
                self._sleep(IDLE_POLL_SECONDS)
        finally:
            self._stop()
            lifeline.close()
            self._restore_signals(previous)

    @property
    def stopping(self) -> bool:
        return self.stop_requests > 0

    @property
    def hurried(self) -> bool:
        """Whether somebody asked twice."""
        return self.stop_requests > 1

    # --- Start ----------------------------------------------------------------------------------

    def _run_preparation(self) -> None:
        """A migration is finished before stopping, unless somebody asks twice: then it is rolled
        back, because the exception passes through its transaction."""
        self._interruptible = True
        try:
            self.prepare_database()
        except HurriedError:
            log.warning("interrupted before the database was prepared; the next start goes on")
        finally:
            self._interruptible = False

    def _start_database(self) -> None:
        options = self.options
        if not options.embedded:
            check_port(options.host, options.port)
            return
        self.lock = DataDirLock(options.data_dir)
        check_port(options.host, options.port)
        require_our_major(options.data_dir)
        secrets = ensure_secrets(options.data_dir)
        clear_leftovers(Paths(options.data_dir).cluster)
        self.server = PostgresServer(
            options.data_dir,
            superuser_password=secrets.superuser_password,
            max_connections=options.max_connections,
        )
        self.server.prepare()
        self.server.spawn()
        if self.server.wait_ready(lambda: not self.stopping):
            provision(self.server.superuser_url, secrets)

    def _start_child(self, name: str, arguments: list[str], lifeline: Lifeline) -> None:
        child = Child(name, arguments, lifeline)
        child.start()
        self.children.append(child)

    def _wait_web(self) -> bool:
        """Waits until /livez and /readyz answer 200; False when asked to stop meanwhile."""
        while not self.stopping:
            if self.children and all(self._probe(path) for path in ("/livez", "/readyz")):
                return True
            self._keep_running()
            for child in self.children:
                if child.failures >= STARTUP_FAILURES:
                    raise EmbeddedError(
                        f"{child.name} does not start; the reason is in the lines above"
                    )
            self._sleep(POLL_SECONDS)
        return False

    def _probe(self, path: str) -> bool:
        # Listening on every network, it is reached on this machine's own.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.options.host, self.options.host)  # noqa: S104
        connection = http.client.HTTPConnection(
            host, self.options.port, timeout=PROBE_TIMEOUT_SECONDS
        )
        try:
            connection.request("GET", path, headers={"Host": self.options.host_header})
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    # --- While it runs --------------------------------------------------------------------------

    def _keep_running(self) -> None:
        self._keep_database()
        for child in self.children:
            child.keep_running()
        now = time.monotonic()
        if self.server is not None and now >= self._housekeeping_due:
            self._housekeeping_due = now + HOUSEKEEPING_SECONDS
            self.server.prune_logs()
        if os.getpid() == 1:
            self._reap_orphans()

    def _reap_orphans(self) -> None:
        """In a container this may be process 1, which inherits every orphan and must bury it."""
        ours = [child.process for child in self.children]
        if self.server is not None:
            ours.append(self.server.process)
        known = {process.pid for process in ours if process is not None}
        for process in psutil.Process().children():
            if process.pid not in known and process.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(process.pid, os.WNOHANG)

    def _keep_database(self) -> None:
        """Starts PostgreSQL again if its postmaster ended; the web server answers 503 meanwhile."""
        server = self.server
        if server is None or time.monotonic() < self._database_due:
            return
        if server.process is not None and server.process.poll() is None:
            return
        if server.process is not None:
            end = describe_end(server.process.returncode)
            log.error("PostgreSQL ended by itself (%s); starting it again", end)
        try:
            clear_leftovers(server.paths.cluster)
            server.spawn()
            if server.wait_ready(lambda: not self.stopping):
                log.warning("PostgreSQL is back")
        except (EmbeddedError, OSError) as error:
            log.error("%s; trying again in %.0f s", error, DATABASE_PAUSE_SECONDS)
            self._database_due = time.monotonic() + DATABASE_PAUSE_SECONDS

    def _sleep(self, seconds: float) -> None:
        """Until a signal (a child's end is one) or the time is over."""
        readable, _, _ = select.select([self._wakeup], [], [], seconds)
        if readable:
            os.read(self._wakeup, 512)

    # --- Stop -----------------------------------------------------------------------------------

    def _stop(self) -> None:
        """Web and jobs finish what they do, then PostgreSQL stops, then the lock goes."""
        if self.children:
            log.info("stopping: requests and jobs that run are finished first")
            drain(
                self.children,
                self.options.shutdown_seconds + DRAIN_MARGIN_SECONDS,
                lambda: self.hurried,
            )
        if self.server is not None:
            self.server.stop()
        if self.lock is not None:
            self.lock.release()

    # --- Signals --------------------------------------------------------------------------------

    def _on_stop(self, number: int, _frame: FrameType | None) -> None:
        self.stop_requests += 1
        if self._interruptible and self.hurried:
            raise HurriedError

    def _install_signals(self) -> dict[int, object]:
        os.set_blocking(self._wakeup_end, False)
        signal.set_wakeup_fd(self._wakeup_end, warn_on_full_buffer=False)
        previous: dict[int, object] = {}
        for number in STOP_SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started with nohup: it is meant to outlive the terminal
            previous[number] = signal.signal(number, self._on_stop)
        # Without a handler the end of a child would not wake the sleep.
        previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        return previous

    def _restore_signals(self, previous: dict[int, object]) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        os.close(self._wakeup)
        os.close(self._wakeup_end)
