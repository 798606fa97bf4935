"""Several at once: workers, writers and jobs, on committed rows."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from config.lib.actor import Actor
from config.lib.scope import workspace_scope
from contacts.models import IdempotencyKey, Workspace
from contacts.services import idempotency
from memory import tasks
from memory.models import EmbeddingSpace, Passage
from memory.models.passage import Lane
from memory.services import embedding, queue
from memory.services.embedding import BATCH, embed_pending
from memory.services.memories import NewMemory, create_memories, update_memory
from tests.factories import ALICE, make_memory, make_workspace, nowhere

pytestmark = pytest.mark.django_db(transaction=True)

IMPORT = Actor(kind="import", id="1", label="import", channel="import")


@pytest.fixture
def workspace() -> Workspace:
    # The queue's tables are not Django's, so nobody empties them between tests.
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
    return make_workspace("greenhouse")


def bring(workspace: Workspace, count: int) -> None:
    with workspace_scope(workspace.id):
        new = [NewMemory(text=f"imported {n}") for n in range(count)]
        create_memories(actor=IMPORT, new=new)


def without_vector(workspace: Workspace) -> int:
    with workspace_scope(workspace.id):
        return Passage.objects.filter(embedding=None).count()


def test_what_somebody_waits_for_comes_before_an_import_and_between_its_batches(
    workspace, embedder
):
    bring(workspace, 100)

    def write_one(batch: list[str]) -> None:
        if batch[0].startswith("imported") and len(embedder.batches) == 1:
            with workspace_scope(workspace.id):
                make_memory("said just now")

    embedder.before = write_one
    embed_pending(workspace.id, seconds=30)
    assert embedder.batches[1] == ["said just now"]
    assert embedder.batches[0][0] == "imported 99"
    assert sum(map(len, embedder.batches)) == 101
    assert without_vector(workspace) == 0


def test_a_slice_ends_and_says_what_is_left(workspace, embedder):
    bring(workspace, 70)
    report = embed_pending(workspace.id, seconds=0)
    assert (report.embedded, report.waiting) == (BATCH, Lane.BULK)
    assert embed_pending(workspace.id, seconds=30).embedded == 70 - BATCH


def test_a_second_thread_leaves_the_work_to_the_first(workspace, embedder):
    bring(workspace, 40)
    reports = []

    def second(batch: list[str]) -> None:
        if len(embedder.batches) == 1:
            # What it was called for is written after the first one's look.
            with workspace_scope(workspace.id):
                make_memory("written meanwhile")
            reports.append(embed_pending(workspace.id, seconds=30))

    embedder.before = second
    assert embed_pending(workspace.id, seconds=30).embedded == 41
    assert reports == [embedding.Report()]
    assert without_vector(workspace) == 0


def test_a_second_process_writes_no_vector_twice(workspace, embedder, monkeypatch):
    bring(workspace, 40)
    reports = []

    def other_process(batch: list[str]) -> None:
        if len(embedder.batches) == 1:
            # Another process knows nothing of what this one is busy with.
            monkeypatch.setattr(embedding, "_busy", set())
            reports.append(embed_pending(workspace.id, seconds=30))

    embedder.before = other_process
    report = embed_pending(workspace.id, seconds=30)
    assert reports[0].embedded == 40
    assert (report.embedded, report.skipped) == (0, 40)
    with workspace_scope(workspace.id):
        assert EmbeddingSpace.objects.count() == 1


def test_many_threads_and_writers_leave_nothing_behind(workspace, embedder):
    embedder.before = lambda batch: time.sleep(0.01)
    failures: list[BaseException] = []

    def guarded(work) -> threading.Thread:
        def run() -> None:
            try:
                for n in range(5):
                    work(n)
            except BaseException as error:
                failures.append(error)
            finally:
                connection.close()

        return threading.Thread(target=run)

    def write(n: int) -> None:
        with workspace_scope(workspace.id):
            memory = make_memory(f"note {n} of {threading.get_ident()}")
        with workspace_scope(workspace.id):
            changed = {"text": f"changed {n} of {threading.get_ident()}"}
            update_memory(actor=ALICE, memory_id=memory.id, changes=changed)

    threads = [guarded(write) for _ in range(4)]
    threads += [guarded(lambda n: embed_pending(workspace.id, seconds=5)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    embed_pending(workspace.id, seconds=30)
    with workspace_scope(workspace.id):
        for row in Passage.objects.all():
            assert row.text.startswith("changed")
            assert list(row.embedding) == pytest.approx(embedder.one(row.text), abs=1e-3)


def test_a_failure_leaves_the_workspace_free(workspace, embedder):
    bring(workspace, 3)

    def fail(batch: list[str]) -> None:
        raise MemoryError

    embedder.before = fail
    for _ in range(2):
        with pytest.raises(MemoryError):
            embed_pending(workspace.id, seconds=30)
    embedder.before = lambda batch: None
    assert embed_pending(workspace.id, seconds=30).embedded == 3


def test_one_job_waits_for_each_lane(workspace, embedder):
    for _ in range(3):
        with workspace_scope(workspace.id):
            make_memory("said")
        bring(workspace, 2)
    jobs = ProcrastinateJob.objects.filter(task_name=queue.EMBED_TASK)
    assert sorted((job.args["lane"], job.priority) for job in jobs) == [(0, 0), (1, -10)]
    assert {job.args["workspace_id"] for job in jobs} == {str(workspace.id)}


def test_without_a_provider_nothing_is_deferred(workspace, settings):
    settings.EMBEDDING_PROVIDER = "none"
    bring(workspace, 2)
    assert not ProcrastinateJob.objects.exists()


def test_a_queue_that_fails_does_not_fail_the_write(workspace, monkeypatch):
    monkeypatch.setattr(queue, "EMBED_TASK", None)  # the column refuses it
    with workspace_scope(workspace.id):
        make_memory("kept all the same")
    assert without_vector(workspace) == 1


def run_jobs() -> None:
    """A real job worker, until nothing waits."""

    async def work(worker_app) -> None:
        async with worker_app.open_async():
            await worker_app.run_worker_async(wait=False, concurrency=2, delete_jobs="successful")

    with app.replace_connector(app.connector.get_worker_connector()) as worker_app:
        # In a thread: a browser test leaves its event loop running in the main one.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, work(worker_app)).result()


def test_a_real_worker_embeds_what_was_written(workspace, embedder):
    bring(workspace, 40)
    with workspace_scope(workspace.id):
        make_memory("said")

    run_jobs()
    assert without_vector(workspace) == 0
    assert not ProcrastinateJob.objects.filter(task_name=queue.EMBED_TASK).exists()
    assert embedder.batches[0] == ["said"]


def test_answers_are_forgotten_after_their_day(workspace, monkeypatch):
    for key in ("old", "new"):
        with workspace_scope(workspace.id):
            idempotency.begin(api_key_id=nowhere(), key=key, digest=b"x" * 32)
    with workspace_scope(workspace.id):
        row = IdempotencyKey.objects.get(key="old")
        earlier = row.created_at - tasks.IDEMPOTENCY_LIFETIME
        IdempotencyKey.objects.filter(pk=row.pk).update(created_at=earlier)
    tasks.forget_answers(0)
    with workspace_scope(workspace.id):
        assert [row.key for row in IdempotencyKey.objects.all()] == ["new"]


def test_jobs_that_died_with_their_worker_are_forgotten_in_every_queue(workspace):
    """One that died holds its lock: no other of that lock would ever run again."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) "
            "VALUES (now() - interval '1 hour'), (now()) RETURNING id"
        )
        dead, alive = (row[0] for row in cursor.fetchall())
        for queue_name in ("index", "sessions", "pings", "upkeep"):
            for worker_id in (dead, alive):
                cursor.execute(
                    "INSERT INTO procrastinate_jobs (queue_name, task_name, status, worker_id, "
                    "attempts, lock) VALUES (%s, 'died', 'doing', %s, 1, %s)",
                    [queue_name, worker_id, f"{queue_name} {worker_id}"],
                )
    # What they did is begun again as soon as they are gone: docs promise minutes.
    ((_, periodic),) = (
        found
        for found in app.periodic_registry.periodic_tasks.items()
        if found[0][0] == tasks.forget_dead_jobs.name
    )
    assert periodic.cron == "* * * * *"
    tasks.forget_dead_jobs.defer(timestamp=0)
    run_jobs()
    left = ProcrastinateJob.objects.filter(task_name="died")
    assert sorted(job.lock for job in left) == sorted(
        f"{name} {alive}" for name in ("index", "sessions", "pings", "upkeep")
    )
