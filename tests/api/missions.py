"""What tests of missions share: a clock that stands where it is put, and the job as it runs."""

from datetime import UTC, datetime, timedelta
from typing import Any

from config.lib.scope import workspace_scope
from contacts.models import Workspace
from sessions.models import Mission, ScheduledMission, Worker
from sessions.services import worker_runs
from sessions.services.missions import create_mission
from sessions.tasks import run_due_missions
from tests.api.caller import Caller, made
from tests.factories import ALICE, make_agent

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


class Clock:
    """config.lib.clock.now, moved by hand."""

    def __init__(self, moment: datetime = NOON) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **parts: float) -> datetime:
        self.moment += timedelta(**parts)
        return self.moment


class Missions:
    """Missions of one workspace, for tests of the job."""

    def __init__(self, workspace: Workspace, clock: Clock) -> None:
        self.workspace, self.clock = workspace, clock

    def schedule(self, **fields: Any) -> ScheduledMission:
        """Every five minutes, unless said otherwise."""
        fields = {
            "name": "Water the seedlings", "prompt": "Water them.", "schedule_kind": "cron",
            "schedule": "*/5 * * * *", **fields,
        }  # fmt: skip
        with workspace_scope(self.workspace.id):
            return create_mission(actor=ALICE, **fields)[0]

    def tick(self, **parts: float) -> None:
        """Let time pass, then run the job."""
        self.clock.forward(**parts)
        run_due_missions(self.workspace.id)

    def runs(self, mission: ScheduledMission) -> list[tuple[str, str, bool]]:
        """(the time of its schedule, its status, whether it has a worker), oldest first."""
        with workspace_scope(self.workspace.id):
            rows = Mission.objects.filter(scheduled_mission=mission).order_by("scheduled_for")
            return [
                (f"{one.scheduled_for:%d %H:%M}", str(one.status), one.worker_id is not None)
                for one in rows
            ]

    def run(self, mission: ScheduledMission) -> Mission:
        """The latest of its runs."""
        with workspace_scope(self.workspace.id):
            found: Mission = Mission.objects.filter(scheduled_mission=mission).latest(
                "scheduled_for"
            )
            return found

    def again(self, mission: ScheduledMission) -> ScheduledMission:
        with workspace_scope(self.workspace.id):
            found: ScheduledMission = ScheduledMission.objects.get(pk=mission.pk)
            return found

    def claim(self) -> Worker:
        with workspace_scope(self.workspace.id):
            worker = worker_runs.claim(
                actor=ALICE, agent=make_agent("runner"), at=self.clock.moment
            )
        assert worker is not None
        return worker

    def complete(self, worker: Worker, report: str = "Watered.") -> None:
        with workspace_scope(self.workspace.id):
            worker_runs.complete(
                actor=ALICE, worker_id=worker.pk, lease_id=worker.lease_id, report=report,
                exit_code=0, at=self.clock.moment,
            )  # fmt: skip

    def fail(
        self, worker: Worker, error: str = "exit code 1\nno water", final: bool = False
    ) -> None:
        with workspace_scope(self.workspace.id):
            worker_runs.fail(
                actor=ALICE, worker_id=worker.pk, lease_id=worker.lease_id, error=error,
                exit_code=1, final=final, at=self.clock.moment,
            )  # fmt: skip


def schedule(api: Caller, **fields: Any) -> dict[str, Any]:
    """A scheduled mission made over REST: daily at nine, unless said otherwise."""
    body = {
        "name": "Water the seedlings", "prompt": "Water them.", "schedule_kind": "cron",
        "schedule": "0 9 * * *", **fields,
    }  # fmt: skip
    return made(api.post("/scheduled-missions", body))


def claim(api: Caller) -> dict[str, Any]:
    """The next worker, taken over REST."""
    return made(api.post("/workers/claim", {}))
