"""While a batch is written, the next one is read and prepared: what goes wrong with one of them
leaves the others as they are."""

import contextlib
import threading

import pytest
from django.db import connection

from config.lib.scope import workspace_scope
from contacts.models import Contact
from contacts.services.funnel import appended, many
from memory.importers import run as frame
from memory.importers.ahead import ahead, give_way
from memory.importers.made import make_row
from memory.models import ImportRun, Memory, Passage
from sessions.models import Message
from tests.importers.sources import SAMPLES, take

MEMORIES = next(one for one in SAMPLES if one.source == "mem0")
MESSAGES = next(one for one in SAMPLES if one.source == "chatgpt")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(frame, "BATCH_ROWS", 10)


def refuse_in_the_pipeline(monkeypatch, module, is_bad):
    """The server refuses the statement in which such a row is, and says so when others were sent
    behind it."""
    original = module.insert_rows

    def refusing(rows):
        if any(map(is_bad, rows)):
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO contacts_contact SELECT * FROM contacts_contact")
        original(rows)

    monkeypatch.setattr(module, "insert_rows", refusing)
    Contact.objects.create(name="nobody", sort_name="nobody")


def test_a_row_that_is_refused_leaves_its_batch_and_the_next_ones(workspace, legacy, monkeypatch):
    whole = take(workspace, MEMORIES, MEMORIES.where(legacy), dry_run=True)
    with workspace_scope(workspace.id):
        refuse_in_the_pipeline(monkeypatch, many, lambda row: isinstance(row, Memory) and bad(row))

    seen: list[str] = []

    def bad(row):
        seen.append(row.external_id)
        return row.external_id == seen[0]

    report = take(workspace, MEMORIES, MEMORIES.where(legacy))
    assert report.checked.ok, report.checked.differences
    assert report.rows["memory"] == whole.rows["memory"] - 1
    assert [p.code for p in report.problems if p.key == seen[0]][-1] == "refused"
    with workspace_scope(workspace.id):
        assert not Memory.objects.filter(external_id=seen[0]).exists()
        assert not Memory.objects.filter(passages=None).exists()


def test_a_message_that_is_refused_leaves_the_others_of_its_thread(workspace, legacy, monkeypatch):
    whole = take(workspace, MESSAGES, MESSAGES.where(legacy), dry_run=True)
    with workspace_scope(workspace.id):
        refuse_in_the_pipeline(
            monkeypatch, appended, lambda row: isinstance(row, Message) and bad(row)
        )

    seen: list[str] = []

    def bad(row):
        seen.append(row.native_uuid)
        return row.native_uuid == seen[0]

    report = take(workspace, MESSAGES, MESSAGES.where(legacy))
    assert report.rows["message"] == whole.rows["message"] - 1
    with workspace_scope(workspace.id):
        assert not Message.objects.filter(native_uuid=seen[0]).exists()
        assert Message.objects.count() == whole.rows["message"] - 1
        assert Passage.objects.filter(kind="message").exists()


def test_what_the_reader_fails_at_fails_the_run_and_is_read_by_the_next(
    workspace, legacy, monkeypatch
):
    made = []

    def failing(draft, source, workspace_id):
        made.append(draft)
        if len(made) == 35:
            raise RuntimeError("the reader fell over")
        return make_row(draft, source, workspace_id)

    with monkeypatch.context() as patched:
        patched.setattr(frame, "make_row", failing)
        with pytest.raises(RuntimeError, match="the reader fell over"):
            take(workspace, MEMORIES, MEMORIES.where(legacy))
    with workspace_scope(workspace.id):
        run = ImportRun.objects.get()
        assert (run.state, run.error) == ("failed", "the reader fell over")
        # What was prepared before it is there.
        assert Memory.objects.count() >= 20
    report = take(workspace, MEMORIES, MEMORIES.where(legacy))
    assert report.checked.ok, report.checked.differences
    assert sum(table.unchanged for table in report.tables.values()) >= 20


def test_an_interrupt_while_a_batch_is_written_leaves_those_before(workspace, legacy, monkeypatch):
    written = []

    def interrupted(self, batch, row):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(batch)
        store(self, batch, row)

    store = frame._Run._store
    with monkeypatch.context() as patched:
        patched.setattr(frame._Run, "_store", interrupted)
        with pytest.raises(KeyboardInterrupt):
            take(workspace, MEMORIES, MEMORIES.where(legacy))
    with workspace_scope(workspace.id):
        assert ImportRun.objects.get().state == "failed"
        there = Memory.objects.count()
    assert there
    report = take(workspace, MEMORIES, MEMORIES.where(legacy))
    assert report.checked.ok, report.checked.differences
    assert sum(table.unchanged for table in report.tables.values()) >= there


def test_what_cannot_be_stored_is_said_of_rows_that_the_reader_made(workspace, legacy, monkeypatch):
    spoilt = []

    def spoiling(draft, source, workspace_id):
        if draft.model is Memory and not spoilt:
            spoilt.append(draft.key)
            draft.values["ownership"] = "x" * 61
        return make_row(draft, source, workspace_id)

    monkeypatch.setattr(frame, "make_row", spoiling)
    report = take(workspace, MEMORIES, MEMORIES.where(legacy))
    said = [p.reason for p in report.problems if p.key == spoilt[0] and p.code == "bad_field"]
    assert len(said) == 1
    assert said[0].startswith("ownership has 61 characters")
    with workspace_scope(workspace.id):
        field = Memory._meta.get_field("ownership")
        assert Memory.objects.get(external_id=spoilt[0]).ownership == field.get_default()


@pytest.mark.django_db
def test_the_reader_goes_on_while_the_writer_waits_for_the_database():
    went_on = threading.Event()

    def source():
        yield 1
        give_way()
        yield 2
        give_way()
        went_on.set()

    for item in ahead(source()):
        if item == 2:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            assert went_on.wait(60)
    assert "wait" not in vars(connection.connection)


@pytest.mark.django_db
def test_a_writer_that_stops_leaves_no_reader_behind():
    ended = []

    def source():
        try:
            for number in range(100):
                give_way()
                yield number
        finally:
            ended.append(True)

    with pytest.raises(LookupError), contextlib.closing(ahead(source())) as items:
        for _ in items:
            raise LookupError
    assert ended
    # Without a writer nobody is given way to.
    give_way()
