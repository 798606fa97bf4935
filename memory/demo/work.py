"""Plays what is to do: projects, tasks, a day's priorities, workers and scheduled missions."""

import uuid
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from config.lib.actor import Actor
from contacts.services import funnel
from memory.demo.stage import ZONE, Stage
from memory.demo.stories import Story
from memory.demo.transcript import read_span
from sessions.models import ScheduledMission, Worker
from sessions.models.worker import WorkerStatus
from sessions.services import mission_starts, worker_runs, workers
from sessions.services.missions import create_mission
from sessions.services.priorities import (
    carry_over,
    complete_priority,
    create_priority,
    has_overdue,
)
from sessions.services.projects import create_project
from sessions.services.tasks import create_task, update_task

# Between a worker's being spawned and somebody's claiming it.
QUEUED = timedelta(seconds=40)
# The longest lease there is: what runs now keeps running as long as nobody beats.
LEASE_SECONDS = worker_runs.MAX_LEASE_SECONDS
_MISSIONS = Actor("job", "sessions.run_workspace_missions", "missions", "job")
_CARRY = Actor("job", "sessions.carry_over", "carry-over", "job")


def project(stage: Stage, story: Story) -> None:
    key, by = story.need("key"), story.need("by")
    at = stage.moment(story.need("when"))
    fields = story.take("title", "description", "repo_url", "pinned", "docs", "features", "data")
    story.done()
    stage.at(
        at, lambda: stage.keep(f"project:{key}", create_project(actor=stage.actor(by), **fields))
    )


def task(stage: Stage, story: Story) -> None:
    """`moved` is a list of [moment, status, who]."""
    key, by, at = story.need("key"), story.need("by"), stage.moment(story.need("when"))
    project, parent = story.pop("project", ""), story.pop("parent", "")
    moved, session = story.pop("moved", []), story.pop("session", "")
    fields = story.take(
        "title", "description", "assignee", "priority", "feature", "sources", "code_examples"
    )
    story.done()

    def make() -> None:
        where: dict[str, Any] = {}
        if parent:
            where["parent_id"] = stage.id_of("task", parent)
        elif project:
            where["project_id"] = stage.id_of("project", project)
        row, _ = create_task(
            actor=stage.actor(by), session_id=stage.id_of("session", session), **fields, **where
        )
        stage.keep(f"task:{key}", row)

    stage.at(at, make)
    for when, status, who in moved:
        stage.at(
            stage.moment(when),
            lambda status=status, who=who: _move(stage, key, status, who),  # type: ignore[misc]
        )


def _move(stage: Stage, key: str, status: str, who: str) -> None:
    task_id = stage.row(f"task:{key}").id
    update_task(actor=stage.actor(who), task_id=task_id, changes={"status": status})


def priority(stage: Stage, story: Story) -> None:
    """A line of the list of `day`; `done` is when it was."""
    day, by, done = int(story.need("day")), story.need("by"), story.pop("done", "")
    fields = story.take("content", "level", "pool")
    story.done()
    on = stage.today + timedelta(days=day)
    morning = datetime.combine(on, time(7, 40), ZoneInfo(ZONE)).astimezone(stage.now.tzinfo)
    made: list[uuid.UUID] = []

    def make() -> None:
        row, _ = create_priority(actor=stage.actor(by), date=on, **fields)
        made.append(row.id)

    stage.at(min(morning, stage.now - timedelta(hours=6)), make)
    if done:
        stage.at(
            stage.moment(done),
            lambda: complete_priority(actor=stage.actor(by), priority_id=made[0]),
        )


def carry_over_each_night(stage: Stage, days: int) -> None:
    """What was left open goes on the next day's list, as the periodic job does it."""

    def tidy() -> None:
        if has_overdue():
            carry_over(actor=_CARRY)

    for back in range(days, -1, -1):
        on: date = stage.today - timedelta(days=back)
        stage.at(datetime.combine(on, time(0, 15), ZoneInfo(ZONE)), tidy)


# --- Workers ----------------------------------------------------------------------------------


def worker(stage: Stage, story: Story) -> None:
    """Spawned, and as far as the story goes: claimed, printing, asking, done."""
    key, by, at = story.need("key"), story.need("by"), stage.moment(story.need("when"))
    session, task, runner = story.pop("session", ""), story.pop("task", ""), story.pop("runner", "")
    needs, takes = story.pop("needs", []), read_span(story.pop("takes", "6m"))
    told = {
        name: story.pop(name, default)
        for name, default in (
            ("state", "complete"), ("output", ""), ("report", ""), ("summary", ""), ("errors", []),
            ("question", ""), ("options", []), ("answer", []), ("progress", []), ("until", ""),
            ("reason", ""), ("exit_code", None),
        )
    }  # fmt: skip
    fields = story.take(
        "primitive", "name", "instructions", "params", "priority", "max_attempts",
        "workspace_path", "timeout_seconds",
    )  # fmt: skip
    story.done()

    def spawn() -> None:
        row, _ = workers.spawn_worker(
            actor=stage.actor(by),
            session_id=stage.id_of("session", session),
            task_id=stage.id_of("task", task),
            depends_on=[stage.row(f"worker:{one}").id for one in needs],
            trace_id=f"{stage.dice(f'trace {key}').getrandbits(128):032x}",
            **fields,
        )
        stage.keep(f"worker:{key}", row)
        _Run(stage, row.id, runner, takes, told).go_on()

    stage.at(at, spawn)


class _Run:
    """What becomes of a worker."""

    def __init__(
        self,
        stage: Stage,
        worker_id: uuid.UUID,
        runner: str,
        takes: timedelta,
        told: dict[str, Any],
    ) -> None:
        self.stage, self.worker_id, self.runner = stage, worker_id, runner
        self.takes, self.told = takes, told
        self.errors: list[str] = list(told["errors"])

    def go_on(self) -> None:
        stage, state = self.stage, self.told["state"]
        now = stage.clock.moment
        if state == "snoozed":
            until = stage.moment(self.told["until"])
            worker_runs.snooze(
                actor=stage.actor(self.runner), worker_id=self.worker_id, until=until,
                reason=self.told["reason"],
            )  # fmt: skip
        elif state == "cancelled":
            stage.at(now + self.takes, self._cancel)
        elif state != "pending":
            stage.at(now + QUEUED, self._claim)

    def _cancel(self) -> None:
        workers.cancel(
            actor=self.stage.actor(self.runner), worker_id=self.worker_id,
            reason=self.told["reason"],
        )  # fmt: skip

    def _claim(self) -> None:
        stage = self.stage
        row = worker_runs.claim_worker(
            actor=stage.actor(self.runner), agent=stage.agent(self.runner),
            worker_id=self.worker_id, lease_seconds=LEASE_SECONDS,
        )  # fmt: skip
        assert row.lease_id is not None
        self.lease_id = row.lease_id
        end = stage.clock.moment + self.takes
        if self.told["state"] == "running":
            stage.at(stage.now - timedelta(seconds=30), self._report_progress)
        else:
            stage.at(min(end, stage.now), self._finish)

    def _print(self, text: str) -> None:
        """Lines that begin with `! ` go to the other stream."""
        pieces = [
            ("stderr", line[2:] + "\n") if line.startswith("! ") else ("stdout", line + "\n")
            for line in text.strip("\n").split("\n")
            if text.strip()
        ]
        worker_runs.append_output(
            actor=self.stage.actor(self.runner), worker_id=self.worker_id,
            lease_id=self.lease_id, pieces=pieces,
        )  # fmt: skip

    def _report_progress(self) -> None:
        self._print(self.told["output"])
        percent, text = self.told["progress"]
        worker_runs.beat(
            worker_id=self.worker_id, lease_id=self.lease_id, lease_seconds=LEASE_SECONDS,
            progress_percent=percent, progress_text=text,
        )  # fmt: skip

    def _finish(self) -> None:
        stage, told = self.stage, self.told
        held: dict[str, Any] = {
            "actor": stage.actor(self.runner), "worker_id": self.worker_id,
            "lease_id": self.lease_id,
        }  # fmt: skip
        if told["question"]:
            worker_runs.ask(**held, question=told["question"], options=told["options"])
            told["question"] = ""
            if told["answer"]:
                when, text, who = told["answer"]
                stage.at(stage.moment(when), lambda: self._answer(text, who))
            return
        if self.errors:
            error = self.errors.pop(0)
            self._print(error)
            last = not self.errors and told["state"] == "failed"
            row = worker_runs.fail(
                **held, error=error, exit_code=told["exit_code"] or 1, final=last
            )
            if row.status == WorkerStatus.PENDING and row.run_after is not None:
                stage.at(row.run_after, self._claim)
            return
        self._print(told["output"])
        worker_runs.complete(
            **held, report=told["report"], report_summary=told["summary"], exit_code=0
        )

    def _answer(self, text: str, who: str) -> None:
        workers.answer(actor=self.stage.actor(who), worker_id=self.worker_id, text=text)
        self.stage.at(self.stage.clock.moment + QUEUED, self._claim)


# --- Missions ---------------------------------------------------------------------------------


def mission(stage: Stage, story: Story) -> None:
    """`reports` are given to its runs in turn; `failed` is a list of [moment, error]: the run
    that is due at or after that moment fails so."""
    key, by, at = story.need("key"), story.need("by"), stage.moment(story.need("when"))
    runner, project = story.pop("runner", ""), story.pop("project", "")
    takes = read_span(story.pop("takes", "4m"))
    reports: list[str] = story.pop("reports", [])
    failed = [(stage.moment(when), error) for when, error in story.pop("failed", [])]
    fields = story.take(
        "name", "description", "prompt", "primitive", "params", "schedule_kind", "schedule",
        "overlap_policy", "catchup_seconds", "timeout_minutes", "max_runs_per_day",
        "pause_after_failures", "workspace_path",
    )  # fmt: skip
    story.done()
    if fields.get("schedule_kind") == "once":
        fields["schedule"] = stage.moment(fields["schedule"]).isoformat()

    def make() -> None:
        row, _ = create_mission(
            actor=stage.actor(by), project_id=stage.id_of("project", project), **fields
        )
        stage.keep(f"mission:{key}", row)
        runs = _Runs(stage, row.id, runner, takes, reports, failed)
        runs.wait_for(row)

    stage.at(at, make)


class _Runs:
    """A scheduled mission's runs, one after the other."""

    def __init__(
        self,
        stage: Stage,
        scheduled_id: uuid.UUID,
        runner: str,
        takes: timedelta,
        reports: Sequence[str],
        failed: Sequence[tuple[datetime, str]],
    ) -> None:
        self.stage, self.scheduled_id, self.runner, self.takes = stage, scheduled_id, runner, takes
        self.reports, self.failed = reports, list(failed)
        self.count = 0

    def wait_for(self, row: ScheduledMission) -> None:
        if row.next_run_at is not None:
            self.stage.at(row.next_run_at, self._due)

    def _due(self) -> None:
        stage = self.stage
        run = mission_starts.run_due(actor=_MISSIONS, scheduled_id=self.scheduled_id)
        self.wait_for(funnel.get_row(ScheduledMission, self.scheduled_id))
        worker_id = None if run is None else run.worker_id
        if worker_id is not None and self.runner:
            stage.at(stage.clock.moment + QUEUED / 2, lambda: self._claim(worker_id))

    def _claim(self, worker_id: uuid.UUID) -> None:
        stage = self.stage
        row = worker_runs.claim_worker(
            actor=stage.actor(self.runner), agent=stage.agent(self.runner), worker_id=worker_id,
            lease_seconds=LEASE_SECONDS,
        )  # fmt: skip
        longer = 0.6 + stage.dice(f"run {worker_id}").random()
        stage.at(stage.clock.moment + self.takes * longer, lambda: self._finish(row))

    def _finish(self, row: Worker) -> None:
        assert row.lease_id is not None
        held: dict[str, Any] = {
            "actor": self.stage.actor(self.runner), "worker_id": row.pk, "lease_id": row.lease_id,
        }  # fmt: skip
        if self.failed and self.stage.clock.moment >= self.failed[0][0]:
            _, error = self.failed.pop(0)
            worker_runs.fail(**held, error=error, exit_code=1, final=True)
            return
        report = self.reports[self.count % len(self.reports)] if self.reports else ""
        self.count += 1
        worker_runs.complete(**held, report=report, exit_code=0)
