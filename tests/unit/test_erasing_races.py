"""What others write while something is being erased: found and removed, or refused."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace

import psycopg
import pytest
from django.db import OperationalError, connection
from django.utils.module_loading import import_string

from config.lib import clock
from config.lib.errors import Conflict, Erased
from config.lib.scope import set_local, workspace_scope
from contacts.models import Erasure, IdempotencyKey, Tombstone
from contacts.models.erasure import ErasureKind, ErasureState
from contacts.services import erasing, funnel, idempotency, tombstones
from contacts.services.contacts import create_contact
from memory.erasing import found, work
from memory.models import Learning, Memory, MemoryLink
from memory.services import erasures, passages
from memory.services.learning import learn_session
from memory.services.memories import NewEvidence, NewMemory, create_memory, link_memories
from memory.services.summaries import summarize_session
from sessions.models import Message, Session
from sessions.services.sessions import delete_session, end_session
from sessions.services.tasks import create_task, delete_task
from sessions.services.threads import NewMessage, append_messages
from tests.factories import ALICE, make_agent, make_memory, make_session, make_thread, nowhere
from tests.unit.test_erasing import check_whole, dumped, erase, owner_url

__all__ = ["dumped", "owner_url"]

SAID = "The zorblatt key lies under the copper pot."


class Writer:
    """Somebody whose transaction has written and is not over before `end`."""

    def __init__(self, workspace, write):
        self.workspace, self.write = workspace, write
        self.wrote, self.may_end = threading.Event(), threading.Event()
        self.pool = ThreadPoolExecutor(1)
        self.over: Future[None] = self.pool.submit(self.run)
        assert self.wrote.wait(10), self.over.exception(0)

    def run(self):
        try:
            with workspace_scope(self.workspace.id):
                self.write()
                self.wrote.set()
                assert self.may_end.wait(20)
        finally:
            connection.close()

    def end(self):
        self.may_end.set()
        self.over.result(10)
        self.pool.shutdown()


def elsewhere(workspace, write):
    """Done by somebody else who waits for no lock; what it was refused with."""

    def run():
        try:
            with workspace_scope(workspace.id):
                set_local("lock_timeout", "50ms")
                write()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result(10)


def assert_locked(refused):
    assert isinstance(refused, OperationalError), refused
    assert isinstance(refused.__cause__, psycopg.errors.LockNotAvailable)


@pytest.fixture
def late(monkeypatch):
    """`late(writer)`: it ends when the erasure has been seen to wait for it."""
    waited_for = []

    def _late(writer):
        under_way = erasing.under_way

        def looking(*given):
            found = under_way(*given)
            if not writer.may_end.is_set():
                waited_for.append(bool(found))
                writer.end()
            return found

        monkeypatch.setattr(erasing, "under_way", looking)

    yield _late
    assert waited_for == [True]


def remember():
    make_memory(SAID)


def append():
    thread = make_thread(make_session(agent=make_agent("late")))
    said = [NewMessage(role="user", content=SAID)]
    append_messages(actor=ALICE, thread_id=thread.id, messages=said)


@pytest.mark.parametrize("write", [remember, append])
def test_what_was_being_written_is_found(workspace, owner_url, dumped, late, write):
    late(Writer(workspace, write))
    erase(workspace, ErasureKind.TERM, term="zorblatt")
    with workspace_scope(workspace.id):
        assert not Memory.objects.exists()
        assert [row.content for row in Message.objects.all()] == ["[erased]"] * (write is append)
    assert "zorblatt" not in dumped()
    check_whole(workspace)


@pytest.mark.parametrize("rows", [1, tombstones.FEW + 1])
def test_who_has_only_looked_for_tombstones_is_waited_for(workspace, owner_url, late, rows):
    def look():
        asked = [Memory(text=SAID, content_hash="0" * 64) for _ in range(rows)]
        tombstones.guard(asked, actor=ALICE)

    late(Writer(workspace, look))
    erase(workspace, ErasureKind.TERM, term="zorblatt")


def test_what_was_being_derived_is_found(workspace, owner_url, dumped, late):
    with workspace_scope(workspace.id):
        memory = make_memory(SAID)

    def derive():
        after = make_memory("Pots hide much.")
        link_memories(actor=ALICE, source_id=after.id, target_id=memory.id, relation="derived_from")

    late(Writer(workspace, derive))
    erase(workspace, ErasureKind.MEMORY, memory.id)
    assert "pots hide much" not in dumped()


def test_the_same_words_elsewhere_are_found(workspace, owner_url, dumped, late):
    """With a source of its own: said twice without, it is one memory anyway."""
    with workspace_scope(workspace.id):
        memory = make_memory(SAID)
    new = NewMemory(SAID, evidence=[NewEvidence(uri="https://a.b")])
    late(Writer(workspace, lambda: create_memory(actor=ALICE, new=new)))
    row = erase(workspace, ErasureKind.MEMORY, memory.id)
    assert row.report["removed"]["memory"] == 2
    assert "copper pot" not in dumped()


def test_of_a_session_what_was_being_appended_goes(workspace, owner_url, dumped, late):
    with workspace_scope(workspace.id):
        session = make_session()
        thread = make_thread(session)

    def say_more():
        said = [NewMessage(role="user", content=SAID)]
        append_messages(actor=ALICE, thread_id=thread.id, messages=said)
        create_memory(actor=ALICE, new=NewMemory(SAID, {"session_id": session.id}))

    late(Writer(workspace, say_more))
    row = erase(workspace, ErasureKind.SESSION, session.id)
    assert (row.preview["removed"].get("message"), row.report["removed"]["message"]) == (None, 1)
    assert "zorblatt" not in dumped()


def test_what_comes_later_is_refused_before_the_rows_are_gone(
    workspace, owner_url, monkeypatch, dumped
):
    with workspace_scope(workspace.id):
        memory = make_memory(SAID)
    outlast, empty = work._outlast_writers, work._empty

    def write():
        """A sentence that says it, and what follows from a row that goes."""
        with workspace_scope(workspace.id), pytest.raises(Erased):
            make_memory("Ask Zorblatt.")

    def derive():
        after = make_memory("Pots hide much.")
        link_memories(actor=ALICE, source_id=after.id, target_id=memory.id, relation="derived_from")

    def deriving(*given):
        monkeypatch.setattr(work, "_empty", empty)
        assert_locked(elsewhere(workspace, derive))
        return empty(*given)

    def waiting(*given):
        write()
        return outlast(*given)

    monkeypatch.setattr(work, "_outlast_writers", waiting)
    monkeypatch.setattr(work, "_empty", deriving)
    erase(workspace, ErasureKind.TERM, term="zorblatt")
    with workspace_scope(workspace.id):
        assert not MemoryLink.objects.exists()
    assert "zorblatt" not in dumped()
    assert "pots hide" not in dumped()


@pytest.mark.parametrize("delete", [delete_task, delete_session])
def test_what_is_deleted_meanwhile_leaves_nothing_in_the_history(
    workspace, owner_url, monkeypatch, dumped, delete
):
    """It is not among the changes that were there before; what it was would be."""
    with workspace_scope(workspace.id):
        if delete is delete_task:
            row = create_task(actor=ALICE, title="Ask Zorblatt")[0]
        else:
            row = make_session(name="Asking Zorblatt")
    name = "task_id" if delete is delete_task else "session_id"
    strike = work._strike

    def remove():
        delete(actor=ALICE, **{name: row.pk})

    def before(*given):
        assert elsewhere(workspace, remove) is None
        return strike(*given)

    monkeypatch.setattr(work, "_strike", before)
    erase(workspace, ErasureKind.TERM, term="zorblatt")
    assert "zorblatt" not in dumped()
    check_whole(workspace)


def test_what_others_had_read_before_stands_in_no_answer_or_change(
    workspace, owner_url, monkeypatch, dumped
):
    with workspace_scope(workspace.id):
        task, _ = create_task(actor=ALICE, title="Ask Zorblatt")
    empty = work._empty

    def answer():
        idempotency.begin(api_key_id=nowhere(), key="k", digest=b"x" * 32)
        key = IdempotencyKey.objects.get()
        idempotency.finish(
            api_key_id=key.api_key_id, key="k", status=200, headers={}, body=b'["Ask Zorblatt"]'
        )
        funnel.record(task, "told", actor=ALICE, before={"title": task.title}, after={})

    def emptying(given):
        done = empty(given)
        monkeypatch.setattr(work, "_empty", empty)
        assert elsewhere(workspace, answer) is None
        return done

    monkeypatch.setattr(work, "_empty", emptying)
    erase(workspace, ErasureKind.TERM, term="zorblatt")
    assert "zorblatt" not in dumped()
    check_whole(workspace)


@pytest.mark.parametrize("kind", [ErasureKind.MEMORY, ErasureKind.SESSION, ErasureKind.CONTACT])
def test_what_is_looked_at_is_held_before(workspace, owner_url, monkeypatch, kind):
    with workspace_scope(workspace.id):
        row = {
            ErasureKind.MEMORY: lambda: make_memory(SAID),
            ErasureKind.SESSION: make_session,
            ErasureKind.CONTACT: lambda: create_contact(actor=ALICE, fields={"name": "Ada Kern"}),
        }[kind]()
    reading = {
        ErasureKind.MEMORY: "add_memories",
        ErasureKind.SESSION: "add_session",
        ErasureKind.CONTACT: "name_contacts",
    }[kind]
    read, carried = getattr(found, reading), work._carry_out
    refused = []

    def change():
        funnel.get_row(erasures.TARGETS[kind], row.pk, lock=True)

    def looking(*given):
        refused.append(elsewhere(workspace, change))
        return read(*given)

    def carrying(*given):
        monkeypatch.setattr(found, reading, looking)
        return carried(*given)

    monkeypatch.setattr(work, "_carry_out", carrying)
    erase(workspace, kind, row.pk)
    assert_locked(refused[0])


def begun(workspace, kind=ErasureKind.TERM, target=None, term="zorblatt"):
    """An erasure that was begun, its job not run yet."""
    with workspace_scope(workspace.id):
        row = erasures.propose_erasure(
            actor=ALICE, kind=kind, target_id=target, term="" if target else term, job=False
        )
    erasures.work_erasure(workspace.id, row.pk)
    with workspace_scope(workspace.id):
        row.refresh_from_db()
        confirm = erasures.confirmation_of(row)
        return erasures.begin_erasure(actor=ALICE, erasure_id=row.pk, confirm=confirm, job=False)


def meanwhile(monkeypatch, name, act):
    """`act` once, before a step of the work."""
    step, acted = getattr(work, name), []

    def first(*given):
        if not acted:
            acted.append(1)
            act()
        return step(*given)

    monkeypatch.setattr(work, name, first)


def run(workspace, row):
    """As a process of its own."""

    def _run():
        try:
            erasures.work_erasure(workspace.id, row.pk)
            return state_of(workspace, row)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_run).result(20)


def state_of(workspace, row):
    with workspace_scope(workspace.id):
        return Erasure.objects.get(pk=row.pk)


def test_one_that_fails_takes_nothing_from_another_of_the_same(workspace, owner_url, monkeypatch):
    with workspace_scope(workspace.id):
        memory = make_memory(SAID)
    first = begun(workspace, ErasureKind.MEMORY, memory.id)
    second = begun(workspace, ErasureKind.MEMORY, memory.id)
    meanwhile(monkeypatch, "_outlast_writers", lambda: run(workspace, second))
    assert run(workspace, first).state == ErasureState.FAILED
    assert state_of(workspace, second).state == ErasureState.DONE
    with workspace_scope(workspace.id), pytest.raises(Erased):
        make_memory(SAID)


def test_lifting_one_lifts_no_other_of_the_same(workspace, owner_url):
    terms = [begun(workspace), begun(workspace)]
    for row in terms:
        assert run(workspace, row).state == ErasureState.DONE
    for row in terms:
        with workspace_scope(workspace.id), pytest.raises(Erased):
            make_memory(SAID)
        with workspace_scope(workspace.id):
            erasures.lift_erasure(actor=ALICE, erasure_id=row.pk)
    with workspace_scope(workspace.id):
        make_memory(SAID)


def test_two_processes_at_the_same_one_are_one(workspace, owner_url, monkeypatch, dumped):
    """A shell's, whose step takes so long that the job believes it lost."""
    with workspace_scope(workspace.id):
        make_memory(SAID)
    row = begun(workspace)
    meanwhile(monkeypatch, "_outlast_writers", lambda: run(workspace, row))
    report = run(workspace, row).report
    assert (report["removed"]["memory"], report["tombstones"]) == (1, 3)
    with workspace_scope(workspace.id):
        assert Tombstone.objects.count() == 3
    assert "zorblatt" not in dumped()


def test_one_that_is_being_removed_has_not_failed_elsewhere(workspace, owner_url, monkeypatch):
    with workspace_scope(workspace.id):
        make_memory(SAID)
    row = begun(workspace)

    def give_up():
        monkeypatch.setattr(work, "OUTLAST_SECONDS", 0.0)
        assert run(workspace, row).state == ErasureState.RUNNING

    meanwhile(monkeypatch, "_remove", give_up)
    assert run(workspace, row).state == ErasureState.DONE
    with workspace_scope(workspace.id):
        assert Tombstone.objects.count() == 3


def test_a_writer_who_never_ends_stops_it_and_nothing_is_kept_away(
    workspace, owner_url, monkeypatch
):
    row = begun(workspace)
    monkeypatch.setattr(work, "OUTLAST_SECONDS", 0.0)
    writer = Writer(workspace, remember)
    erasures.work_erasure(workspace.id, row.pk)
    writer.end()
    with workspace_scope(workspace.id):
        row = Erasure.objects.get(pk=row.pk)
        assert row.state == ErasureState.FAILED
        assert "nothing was removed" in row.error
        assert not Tombstone.objects.exists()
        assert Memory.objects.get().text == SAID
        make_memory("Ask Zorblatt.")


def test_a_deadlock_is_one_more_try(workspace, owner_url, monkeypatch, dumped):
    row, tried, remove = begun(workspace), [], work._remove
    with workspace_scope(workspace.id):
        make_memory(SAID)

    def losing(*given):
        tried.append(1)
        if len(tried) < 3:
            raise OperationalError from psycopg.errors.DeadlockDetected()
        remove(*given)

    monkeypatch.setattr(work, "_remove", losing)
    erasures.work_erasure(workspace.id, row.pk)
    with workspace_scope(workspace.id):
        assert Erasure.objects.get(pk=row.pk).state == ErasureState.DONE
    assert len(tried) == 3
    assert "zorblatt" not in dumped()


def talk(workspace):
    """A session in which it was said, and that has ended."""
    with workspace_scope(workspace.id):
        session = make_session()
        said = [
            NewMessage(role="user", content="Remember: the Zorblatt key lies under a pot."),
            NewMessage(role="assistant", content="We decided to leave the Zorblatt key there."),
        ]
        append_messages(actor=ALICE, thread_id=make_thread(session).id, messages=said)
        end_session(actor=ALICE, session_id=session.id)
        Learning.objects.update(due_at=clock.now())
    return session


def summarize(workspace, session):
    with suppress(Conflict):
        summarize_session(workspace_id=workspace.id, actor=ALICE, session=str(session.id))


def learn(workspace, session):
    learn_session(workspace.id, session.id)


@pytest.mark.parametrize(
    ("make", "step"), [(summarize, "summaries._draft"), (learn, "learning._findings")]
)
def test_what_was_thought_of_before_is_not_written_after(
    workspace, owner_url, monkeypatch, dumped, make, step
):
    session, row = talk(workspace), begun(workspace)
    place = f"memory.services.{step}"
    think = import_string(place)

    def thinking(*given):
        thought = think(*given)
        thought = thought if isinstance(thought, tuple) else list(thought)
        assert run(workspace, row).state == ErasureState.DONE
        return thought

    monkeypatch.setattr(place, thinking)
    make(workspace, session)
    assert "zorblatt" not in dumped()
    monkeypatch.setattr(place, think)
    make(workspace, session)
    with workspace_scope(workspace.id):
        assert Session.objects.get(pk=session.pk).summary


def test_what_is_thought_of_waits_for_no_erasure_that_removes_nothing_yet(workspace, owner_url):
    session, _ = talk(workspace), begun(workspace)
    learn(workspace, session)
    with workspace_scope(workspace.id):
        assert Session.objects.get(pk=session.pk).summary


def test_indexing_anew_waits_for_what_is_being_removed(workspace, owner_url, monkeypatch, dumped):
    """What it has read of a message may be what the erasure is striking just then."""
    with workspace_scope(workspace.id):
        append()
    slept, empty = threading.Event(), work._empty
    over: list[Future[int]] = []
    monkeypatch.setattr(passages, "time", SimpleNamespace(sleep=lambda seconds: slept.set()))

    def index():
        try:
            return passages.reindex_workspace(workspace.id)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:

        def emptying(*given):
            over.append(pool.submit(index))
            assert slept.wait(10), over[0].exception(0)
            return empty(*given)

        monkeypatch.setattr(work, "_empty", emptying)
        erase(workspace, ErasureKind.TERM, term="zorblatt")
        assert over[0].result(10) == 1
    assert "zorblatt" not in dumped()
