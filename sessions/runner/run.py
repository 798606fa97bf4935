"""One worker's command, from its start to its report. Runs in a thread of the pool."""

import os
import selectors
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import orjson
import structlog
from django.db import DatabaseError

from config.lib.actor import Actor
from config.lib.errors import Conflict, DomainError
from sessions.models import Worker
from sessions.models.worker import OutputStream
from sessions.runner.child import Child
from sessions.runner.output import Output
from sessions.runner.record import Record

log = structlog.get_logger()

FLUSH_SECONDS = 1.0
# A cancellation is heard of with the next beat.
LONGEST_BEAT_SECONDS = 5.0
# How soon a run hears that the pool stops, and tries the database again.
LOOK_SECONDS = 0.5
# What a process that left the group may keep our pipes open after the command has ended.
PIPES_SECONDS = 2.0
# More cannot be in a variable everywhere; the command may ask GET workers/{id} for them.
MAX_PARAMS_BYTES = 64_000
# The product's own secrets are not the command's business.
SECRETS = frozenset(
    {
        "DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_BACKUP_URL", "SECRET_KEY",
        "REMEMBRANCER_ADMIN_PASSWORD",
        "REMEMBRANCER_EMBEDDING_API_KEY", "REMEMBRANCER_EMBEDDING_OTHER_API_KEY",
        "REMEMBRANCER_RERANKER_API_KEY", "REMEMBRANCER_SUMMARY_API_KEY", "EMAIL_URL",
        "REMEMBRANCER_DATABASE_LOGIN",
        "REMEMBRANCER_LIFELINE_FD",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Orders:
    """What every run of a pool has in common. Seconds; `grace` is between TERM and KILL."""

    workspace_id: uuid.UUID
    workspace: str
    actor: Actor
    command: Sequence[str]
    lease_seconds: int
    grace: float

    @property
    def beat_every(self) -> float:
        return min(self.lease_seconds / 5, LONGEST_BEAT_SECONDS)


class Why(Enum):
    """Why a command was ended before it ended itself."""

    CANCELLED = "cancelled, as it was asked to be"
    TIMEOUT = "timed out"
    STOPPED = "the runner is stopping"
    LOST = "the lease is lost"


class Run:
    """`claimed_at` is time.monotonic() of just before the claim: the lease is no older."""

    def __init__(self, orders: Orders, worker: Worker, claimed_at: float) -> None:
        self.orders, self.worker = orders, worker
        self.record = Record(orders.workspace_id, orders.actor, worker)
        self.output = Output()
        self.stop = threading.Event()
        self.why: Why | None = None
        self.status = b""
        self.log = log.bind(worker=str(worker.pk), attempt=worker.attempts)
        self._began = self._beaten = claimed_at
        self._flushed = self._kill_at = 0.0

    def __call__(self) -> None:
        folder = self.worker.workspace_path
        if folder and not os.path.isdir(folder):
            error = f"workspace_path {folder!r} is not a folder on {socket.gethostname()}"
            self._report(lambda: self.record.fail(error, final=True))
            return
        left = self._began + self.orders.lease_seconds - time.monotonic()
        try:
            child = Child(
                self.orders.command,
                folder=folder or None,
                environment=environment_of(self.worker, self.orders.workspace),
                text=text_of(self.worker),
                lease_seconds=left,
                # Always shorter than the lease, so that TERM comes before the lease ends.
                grace=min(self.orders.grace, self.orders.lease_seconds / 3),
            )
        except OSError as error:
            # Too many processes, say: a thing of this machine, and of now.
            message = f"the command cannot be started: {error}"
            self._report(lambda: self.record.fail(message))
            return
        self.log.info("worker_started", primitive=self.worker.primitive)
        try:
            self._follow(child)
        finally:
            child.close()
        self._finish()

    # --- While it runs ------------------------------------------------------------------------

    def _follow(self, child: Child) -> None:
        """Read until the command has ended, beating and writing as time goes by."""
        with selectors.DefaultSelector() as ready:
            ready.register(child.stdout, selectors.EVENT_READ, OutputStream.STDOUT)
            ready.register(child.stderr, selectors.EVENT_READ, OutputStream.STDERR)
            ready.register(child.status, selectors.EVENT_READ, None)
            ended_at: float | None = None
            while ready.get_map():
                for key, _ in ready.select(LOOK_SECONDS):
                    data = os.read(key.fd, 65_536)
                    if key.data is not None:
                        self.output.feed(key.data, data, final=not data)
                    else:
                        self.status += data
                    if not data:
                        ready.unregister(key.fd)
                        if key.data is None:
                            ended_at = time.monotonic()
                            # Nothing where the guard has done so; all, where it was killed.
                            child.signal(signal.SIGKILL)
                now = time.monotonic()
                if ended_at is not None and now - ended_at > PIPES_SECONDS:
                    return
                self._tend(child, now)

    def _tend(self, child: Child, now: float) -> None:
        if now - self._beaten >= self.orders.beat_every:
            self._beat(child, now)
        if self.output.waiting and now - self._flushed >= FLUSH_SECONDS:
            self._flush()
            self._flushed = now
        limit = self.worker.timeout_seconds
        if limit is not None and now - self._began >= limit:
            self._end(child, Why.TIMEOUT, now)
        if self.stop.is_set():
            self._end(child, Why.STOPPED, now)
        if self.why is not None and now >= self._kill_at:
            child.signal(signal.SIGKILL)

    def _beat(self, child: Child, now: float) -> None:
        try:
            worker = self.record.beat(self.orders.lease_seconds)
        except DomainError as error:
            # Somebody else has it, or the command has settled it itself.
            self.log.info("worker_lost", reason=error.detail)
            self._end(child, Why.LOST, now)
        except DatabaseError as error:
            self.log.warning("beat_failed", error=repr(error))
            # Again at the next look; the guard keeps the time.
        else:
            # The lease was prolonged at some moment after `now`.
            child.allow(now + self.orders.lease_seconds - time.monotonic())
            if worker.cancel_requested_at is not None:
                self._end(child, Why.CANCELLED, now)
            self._beaten = now

    def _end(self, child: Child, why: Why, now: float) -> None:
        if self.why is None:
            self.why, self._kill_at = why, now + self.orders.grace
            child.signal(signal.SIGKILL if why is Why.LOST else signal.SIGTERM)

    def _flush(self) -> None:
        pieces = self.output.take()
        if not pieces or self.why is Why.LOST:
            return
        try:
            self.record.print(pieces)
        except DatabaseError as error:
            self.log.warning("output_not_written", error=repr(error))
            self.output.put_back(pieces)
        except Conflict as error:
            # Full; or lost, of which the next beat hears too.
            self.log.info("output_refused", reason=error.detail)
            self.output.stop_keeping(pieces)

    # --- Afterwards ---------------------------------------------------------------------------

    def _finish(self) -> None:
        if self.why is Why.LOST:
            return
        self._flush()
        note = self.output.note()
        if note is not None:
            self._report(lambda: self.record.print([note]))
        code, problem = _read_status(self.status)
        report = self.output.report()
        if self.why is Why.STOPPED:
            self._report(lambda: self.record.release(Why.STOPPED.value))
        elif self.why is None and code == 0:
            self._report(lambda: self.record.complete(report))
        else:
            error = problem or self._error(code)
            self._report(lambda: self.record.fail(error, report=report, exit_code=code))
        self.log.info("worker_ended", exit_code=code, why=self.why and self.why.name.lower())

    def _error(self, code: int | None) -> str:
        if self.why is Why.TIMEOUT:
            first = f"timed out after {self.worker.timeout_seconds} s"
        elif self.why is not None:
            first = self.why.value
        elif code is None:
            first = "the command was killed, and its guard with it"
        elif code < 0:
            first = f"ended by {_signal_name(-code)}"
        else:
            first = f"exit code {code}"
        last = self.output.last_error()
        return f"{first}\n{last}" if last else first

    def _report(self, say: Callable[[], None]) -> None:
        """Until it is written, or the lease is over: then whoever gets the worker runs it again."""
        deadline = time.monotonic() + self.orders.lease_seconds
        while True:
            try:
                say()
                return
            except DomainError as error:
                # The command has asked, snoozed or completed by itself: that stands.
                self.log.info("worker_settled_already", reason=error.detail)
                return
            except DatabaseError as error:
                self.log.warning("report_failed", error=repr(error))
                if time.monotonic() > deadline:
                    return
                time.sleep(LOOK_SECONDS)


def _read_status(said: bytes) -> tuple[int | None, str]:
    """(exit code, problem), as the guard has written them."""
    word, _, rest = said.decode(errors="replace").partition(" ")
    if word == "exit":
        return int(rest), ""
    if word == "late":
        return None, "ended with its lease, which could not be prolonged in time"
    return None, f"the command cannot be started: {rest}" if word == "start" else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def text_of(worker: Worker) -> str:
    """What the command reads on its standard input."""
    if not worker.clarification_answered_at:
        return worker.instructions
    return (
        f"{worker.instructions}\n\n## Clarification\n\nAsked: {worker.clarification_question}\n\n"
        f"Answered: {worker.clarification_answer}\n"
    )


def environment_of(worker: Worker, workspace: str) -> dict[str, str]:
    """This process's, without the product's secrets, and what the command may want to know."""
    said = {
        "ID": worker.pk,
        "LEASE_ID": worker.lease_id,
        "ATTEMPT": worker.attempts,
        "NAME": worker.name,
        "PRIMITIVE": worker.primitive,
        "TRACE_ID": worker.trace_id,
        "SESSION_ID": worker.session_id or "",
        "CONVERSATION_ID": worker.conversation_id,
        "TASK_ID": worker.task_id or "",
        "WORKSPACE": workspace,
    }
    params = orjson.dumps(worker.params)
    if len(params) <= MAX_PARAMS_BYTES:
        said["PARAMS"] = params.decode()
    kept = {name: value for name, value in os.environ.items() if name not in SECRETS}
    return kept | {f"REMEMBRANCER_WORKER_{name}": str(value) for name, value in said.items()}
