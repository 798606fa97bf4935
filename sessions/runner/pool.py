"""Claims workers while there is room, and holds their runs until they have ended.

One thread for each run, and the caller's own for claiming. Stopping: no more claims, every command
is ended, and its worker put back with the attempt not counted.
"""

import queue
import signal
import threading
import time
from collections.abc import Sequence
from types import FrameType

import structlog
from django.db import DatabaseError

from contacts.models import Agent
from sessions.models import Worker
from sessions.runner.record import short_scope
from sessions.runner.run import Orders, Run
from sessions.services import worker_runs

log = structlog.get_logger()

LONGEST_WAIT_SECONDS = 30.0


class Pool:
    """`work()` returns when it was stopped, or with `once` when nothing may run any more."""

    def __init__(
        self,
        orders: Orders,
        *,
        agent: Agent,
        primitives: Sequence[str] | None,
        concurrency: int,
        poll_seconds: float,
        once: bool,
    ) -> None:
        self.orders, self.agent, self.primitives = orders, agent, primitives
        self.concurrency, self.poll_seconds, self.once = concurrency, poll_seconds, once
        self.runs: dict[threading.Thread, Run] = {}
        self.stopping = False
        self._failures = 0
        # Not an Event: a signal handler may put into this one whatever it has interrupted.
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()

    def stop_on_signals(self) -> None:
        """SIGTERM and Ctrl-C. In the main thread."""
        for request in (signal.SIGTERM, signal.SIGINT):
            signal.signal(request, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop()

    def stop(self) -> None:
        self.stopping = True
        self._news.put(None)

    def work(self) -> None:
        try:
            while not self.stopping:
                idle = self._fill()
                if idle and self.once and not self.runs:
                    return
                self._wait()
                self._sweep()
        finally:
            self._end_all()

    def _fill(self) -> bool:
        """Claim until there is no room, or nothing to claim (True)."""
        while len(self.runs) < self.concurrency and not self.stopping:
            claimed_at = time.monotonic()
            try:
                worker = self._claim()
            except DatabaseError as error:
                self._failures += 1
                log.warning("claim_failed", error=repr(error))
                return False
            self._failures = 0
            if worker is None:
                return True
            self._start(worker, claimed_at)
        return False

    def _claim(self) -> Worker | None:
        with short_scope(self.orders.workspace_id):
            return worker_runs.claim(
                actor=self.orders.actor,
                agent=self.agent,
                primitives=self.primitives,
                lease_seconds=self.orders.lease_seconds,
            )

    def _start(self, worker: Worker, claimed_at: float) -> None:
        run = Run(self.orders, worker, claimed_at)

        def go() -> None:
            try:
                run()
            except Exception:
                # The lease runs out, and the worker is put back, the attempt counted.
                log.exception("run_broke", worker=str(worker.pk))
            finally:
                self._news.put(None)

        thread = threading.Thread(target=go, name=f"worker {worker.short_id}")
        self.runs[thread] = run
        thread.start()

    def _wait(self) -> None:
        """Until a run has ended, a signal came, or it is time to look again."""
        # A database that is away is asked less and less often.
        wait = min(self.poll_seconds * 2.0 ** min(self._failures, 10), LONGEST_WAIT_SECONDS)
        try:
            self._news.get(timeout=max(wait, self.poll_seconds))
        except queue.Empty:
            return

    def _sweep(self) -> None:
        for thread in [one for one in self.runs if not one.is_alive()]:
            del self.runs[thread]

    def _end_all(self) -> None:
        for run in self.runs.values():
            run.stop.set()
        for thread in self.runs:
            thread.join()
        self.runs.clear()
