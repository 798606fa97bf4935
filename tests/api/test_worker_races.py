"""Many runners at one queue: nobody gets what another has, and nothing is done twice."""

import threading
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit, urlunsplit

import orjson
import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config.lib.errors import Conflict, Invalid
from config.lib.scope import workspace_scope
from contacts.models import Agent, Workspace
from sessions.models import Notification, Worker, WorkerOutput
from sessions.services import worker_runs, workers
from sessions.services.mission_starts import run_now
from sessions.services.missions import create_mission
from tests.api.test_concurrency import at_once
from tests.api.test_ping_wait import until
from tests.factories import ALICE, make_agent

pytestmark = pytest.mark.django_db(transaction=True)
CLAIMERS, WORKERS = 20, 1000


@pytest.fixture
def agent(workspace: Workspace) -> Agent:
    with workspace_scope(workspace.id):
        return make_agent("runner")


def spawn(workspace: Workspace, **fields) -> Worker:
    with workspace_scope(workspace.id):
        return workers.spawn_worker(actor=ALICE, primitive="research", **fields)[0]


def claim(workspace: Workspace, agent: Agent, **how) -> Worker | None:
    with workspace_scope(workspace.id):
        return worker_runs.claim(actor=ALICE, agent=agent, **how)


def test_twenty_claimers_get_each_of_a_thousand_workers_exactly_once(workspace, agent):
    with workspace_scope(workspace.id):
        Worker.objects.bulk_create(
            [Worker(primitive="research", priority=n % 3) for n in range(WORKERS)]
        )

    def work() -> list[uuid.UUID]:
        mine = []
        while (worker := claim(workspace, agent)) is not None:
            mine.append(worker.pk)
        return mine

    shares = at_once([work] * CLAIMERS)
    claimed = Counter(one for share in shares for one in share)
    assert len(claimed) == WORKERS
    assert set(claimed.values()) == {1}
    assert sum(bool(share) for share in shares) > 1
    with workspace_scope(workspace.id):
        leases = Worker.objects.filter(status="running", attempts=1).values_list("lease_id")
        assert len(set(leases)) == WORKERS


def test_one_dedupe_key_spawned_by_twenty_is_one_worker(workspace, agent):
    def spawn_it() -> tuple[uuid.UUID, bool]:
        with workspace_scope(workspace.id):
            worker, new = workers.spawn_worker(actor=ALICE, primitive="x", dedupe_key="daily")
            return worker.pk, new

    answers = at_once([spawn_it] * CLAIMERS)
    assert len({pk for pk, _ in answers}) == 1
    assert sum(new for _, new in answers) == 1


def test_a_lost_lease_is_taken_over_by_one_of_many(workspace, agent):
    spawn(workspace, max_attempts=9)
    past = datetime.now(UTC) - timedelta(hours=1)
    assert claim(workspace, agent, at=past) is not None
    taken = [one for one in at_once([lambda: claim(workspace, agent)] * CLAIMERS) if one]
    assert [one.attempts for one in taken] == [2]


def test_who_completes_and_who_takes_over_do_not_both_win(workspace, agent):
    """The lease ran out, and its holder reports at the very moment somebody else looks."""
    past = datetime.now(UTC) - timedelta(hours=1)
    for _ in range(10):
        worker = spawn(workspace, conversation_id="chief")
        held = claim(workspace, agent, at=past)
        assert held is not None

        def finish(held: Worker = held) -> str:
            try:
                with workspace_scope(workspace.id):
                    worker_runs.complete(actor=ALICE, worker_id=held.pk, lease_id=held.lease_id)
            except Conflict as error:
                return error.code
            return "complete"

        done, taken = None, None
        for answer in at_once([finish, lambda: claim(workspace, agent)]):
            if isinstance(answer, str):
                done = answer
            elif answer is not None:
                taken = answer
        assert (done == "complete") == (taken is None), (done, taken)
        if taken is None:
            with workspace_scope(workspace.id):
                assert Notification.objects.filter(entity_id=str(worker.pk)).count() == 1
        else:
            assert done in ("not_running", "lease_lost")
            with workspace_scope(workspace.id):
                worker_runs.complete(actor=ALICE, worker_id=taken.pk, lease_id=taken.lease_id)


def test_output_of_many_threads_counts_without_a_gap(workspace, agent):
    spawn(workspace)
    held = claim(workspace, agent)
    assert held is not None

    def write() -> None:
        with workspace_scope(workspace.id):
            worker_runs.append_output(
                actor=ALICE, worker_id=held.pk, lease_id=held.lease_id,
                pieces=[("stdout", "a"), ("stderr", "b")],
            )  # fmt: skip

    at_once([write] * CLAIMERS)
    with workspace_scope(workspace.id):
        numbers = WorkerOutput.objects.order_by("seq").values_list("seq", flat=True)
        assert list(numbers) == list(range(1, 2 * CLAIMERS + 1))


def test_four_edges_at_once_do_not_close_a_cycle(workspace, agent):
    ring = [spawn(workspace) for _ in range(4)]

    def need(n: int) -> bool:
        try:
            with workspace_scope(workspace.id):
                workers.update_worker(
                    actor=ALICE, worker_id=ring[n].pk,
                    changes={"depends_on": [ring[(n + 1) % 4].pk]},
                )  # fmt: skip
        except Invalid as error:
            return "depends_on" not in error.errors
        return True

    assert sorted(at_once([lambda n=n: need(n) for n in range(4)])) == [False, True, True, True]


def test_a_claimer_does_not_wait_for_a_locked_worker(workspace, agent):
    first, second = spawn(workspace, priority=1), spawn(workspace)
    locked, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with workspace_scope(workspace.id):
            Worker.objects.select_for_update().get(pk=first.pk)
            locked.set()
            go_on.wait(30)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert locked.wait(30)
    taken = claim(workspace, agent)
    go_on.set()
    holder.join()
    assert taken is not None
    assert taken.pk == second.pk


def test_a_worker_is_not_deleted_under_one_that_is_just_being_spawned(workspace, agent):
    """The dependency would go with it, and the new worker start as if it were complete."""
    needed = spawn(workspace)
    spawned, go_on = threading.Event(), threading.Event()

    def spawn_slowly() -> None:
        with workspace_scope(workspace.id):
            workers.spawn_worker(actor=ALICE, primitive="x", depends_on=[needed.pk])
            spawned.set()
            go_on.wait(30)
        connection.close()

    def delete() -> None:
        try:
            with workspace_scope(workspace.id):
                workers.delete_worker(actor=ALICE, worker_id=needed.pk)
        except Conflict as error:
            codes.append(error.code)
        connection.close()

    codes: list[str] = []
    threads = [threading.Thread(target=spawn_slowly), threading.Thread(target=delete)]
    threads[0].start()
    assert spawned.wait(30)
    threads[1].start()
    until(lambda: waits_for_a_lock() or not threads[1].is_alive())
    go_on.set()
    for thread in threads:
        thread.join()
    assert codes == ["needed"]


def waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
            "WHERE NOT l.granted AND a.datname = current_database())"
        )
        return bool(cursor.fetchone()[0])


def test_two_who_put_back_runs_of_the_same_missions_do_not_deadlock(workspace, agent, monkeypatch):
    past = datetime.now(UTC) - timedelta(hours=1)
    with workspace_scope(workspace.id):
        missions = [
            create_mission(
                actor=ALICE, name=name, prompt="p", schedule_kind="cron", schedule="@yearly",
                overlap_policy="allow", max_attempts=9,
            )[0]
            for name in "ab"
        ]  # fmt: skip
    # Their leases ran out in this order, so that the first two and the last two cross.
    for n, which in enumerate((0, 1, 1, 0)):
        with workspace_scope(workspace.id):
            run_now(actor=ALICE, scheduled_id=missions[which].pk)
        assert claim(workspace, agent, at=past + timedelta(seconds=n)) is not None
    put_back, begun = worker_runs._put_back_lost, []

    def put_back_slowly(worker: Worker, *arguments) -> None:
        put_back(worker, *arguments)
        begun.append(worker.pk)
        until(lambda: len(begun) > 1 or waits_for_a_lock())

    monkeypatch.setattr(worker_runs, "_put_back_lost", put_back_slowly)

    def tidy() -> int:
        with workspace_scope(workspace.id):
            return worker_runs.release_lost_leases(actor=ALICE, limit=2)

    assert at_once([tidy, tidy]) == [2, 2]


FILL_QUEUE = """
    SET LOCAL statement_timeout = 0;
    SET LOCAL app.workspace = '{workspace}';
    INSERT INTO agent_sessions_worker (id, workspace_id, created_at, updated_at, version, metadata,
        source, external_id, conversation_id, name, primitive, status, instructions, params,
        workspace_path, priority, attempts, max_attempts, dedupe_key, trace_id, progress_text,
        report, report_summary, error, clarification_question, clarification_options,
        clarification_answer)
    SELECT gen_random_uuid(), '{workspace}', now(), now(), 1, '{{}}', '', '', '', '',
        CASE n % 4 WHEN 0 THEN 'build' WHEN 1 THEN 'review' ELSE 'other' END, 'pending', '', '{{}}',
        '', CASE n % 4 WHEN 0 THEN 0 WHEN 1 THEN 1 ELSE 5 END, 0, 3, '', '', '', '', '', '', '',
        '{{}}', ''
      FROM generate_series(1, 20000) n
"""


def rows_read(plan: dict) -> int:
    own = plan["Actual Rows"] * plan["Actual Loops"] + plan.get("Rows Removed by Filter", 0)
    return max([own, *(rows_read(child) for child in plan.get("Plans", []))])


def test_a_claim_of_a_few_kinds_does_not_pass_along_the_others(workspace, agent, database_server):
    """Half of the queue is of another kind, and comes first."""
    with workspace_scope(workspace.id), connection.cursor() as cursor:
        cursor.execute(FILL_QUEUE.format(workspace=workspace.id))
    parts = urlsplit(database_server.owner)
    owner = urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))
    with psycopg.connect(owner, autocommit=True) as session:
        session.execute("VACUUM ANALYZE agent_sessions_worker")
    for wanted in (["build", "review"], ["none", "review", "review"], ["build"]):
        with CaptureQueriesContext(connection) as captured:
            found = claim(workspace, agent, primitives=wanted)
        assert found is not None
        assert found.primitive == ("review" if "review" in wanted else "build")
        looks = [one["sql"] for one in captured if one["sql"].startswith(("SELECT", "(SELECT"))]
        assert any("primitive" in sql for sql in looks)
        for sql in looks:
            with workspace_scope(workspace.id), connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
                plan = cursor.fetchone()[0]
            plan = orjson.loads(plan) if isinstance(plan, str) else plan
            assert rows_read(plan[0]["Plan"]) < 200, sql


def test_more_claimers_than_heads_get_all_of_several_kinds(workspace, agent, monkeypatch):
    monkeypatch.setattr(worker_runs, "HEADS", 2)
    with workspace_scope(workspace.id):
        Worker.objects.bulk_create([Worker(primitive="ab"[n % 2], priority=n) for n in range(100)])

    def work() -> list[int]:
        mine = []
        while (worker := claim(workspace, agent, primitives=["a", "b"])) is not None:
            mine.append(worker.priority)
        return mine

    shares = at_once([work] * CLAIMERS)
    assert sorted(one for share in shares for one in share) == list(range(100))
