"""Vectors are made in the background, interactive rows first, and only for the text they are of."""

import pytest
from procrastinate.contrib.django.models import ProcrastinateJob

from config.lib.actor import Actor
from config.lib.scope import workspace_scope
from memory import tasks
from memory.embedding import EmbeddingError
from memory.models import EmbeddingSpace, Passage
from memory.models.passage import Lane
from memory.services.embedding import embed_pending
from memory.services.memories import NewMemory, create_memory, update_memory
from tests.factories import ALICE, make_memory
from tests.search.asking import ask_fully, embed_all

IMPORT = Actor(kind="import", id="1", label="import", channel="import")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(tasks, "COLLECT_SECONDS", 0.0)
    monkeypatch.setattr(tasks, "backoff", tasks.Backoff())


def pending(workspace) -> list[str]:
    with workspace_scope(workspace.id):
        rows = Passage.objects.filter(embedding=None).order_by("id")
        return list(rows.values_list("text", flat=True))


def remember(workspace, text: str, actor: Actor = ALICE) -> None:
    with workspace_scope(workspace.id):
        create_memory(actor=actor, new=NewMemory(text=text))


def test_the_job_embeds_what_waits_and_a_second_run_does_nothing(workspace, embedder):
    remember(workspace, "The valve is open.")
    tasks.embed_passages(str(workspace.id), Lane.INTERACTIVE)
    assert pending(workspace) == []
    assert len(embedder.batches) == 1
    tasks.embed_passages(str(workspace.id), Lane.INTERACTIVE)
    assert len(embedder.batches) == 1
    with workspace_scope(workspace.id):
        space = EmbeddingSpace.objects.get()
        assert (space.provider, space.model, space.state) == ("test", "hash", "active")
        assert len(Passage.objects.get().embedding) == 384


def test_what_somebody_waits_for_is_embedded_before_an_import(workspace, embedder):
    with workspace_scope(workspace.id):
        for n in range(100):
            create_memory(actor=IMPORT, new=NewMemory(text=f"imported {n}"))
    remember(workspace, "said just now")
    tasks.embed_passages(str(workspace.id), Lane.BULK)
    assert embedder.batches[0] == ["said just now"]


def test_long_texts_are_embedded_few_at_a_time_so_that_nobody_waits_long(workspace, embedder):
    for n in range(5):
        remember(workspace, f"{n} " + "word " * 100)
    embedder.turn_characters = 1_100
    tasks.embed_passages(str(workspace.id), Lane.INTERACTIVE)
    assert [len(batch) for batch in embedder.batches] == [2, 2, 1]
    embedder.turn_characters = 1
    remember(workspace, "longer than a turn")
    tasks.embed_passages(str(workspace.id), Lane.INTERACTIVE)
    assert embedder.batches[-1] == ["longer than a turn"]
    assert pending(workspace) == []


def test_a_text_that_changed_meanwhile_gets_no_stale_vector(workspace, embedder, monkeypatch):
    with workspace_scope(workspace.id):
        memory = make_memory("old words")
    original = embedder.embed

    def change_first(texts, *, budget=None):
        vectors = original(texts)
        if "old words" in texts:
            with workspace_scope(workspace.id):
                update_memory(actor=ALICE, memory_id=memory.id, changes={"text": "new words"})
        return vectors

    monkeypatch.setattr(embedder, "embed", change_first)
    embed_all(workspace)
    assert embedder.batches[0] == ["old words"]
    assert embedder.batches[-1] == ["new words"]
    assert pending(workspace) == []


def test_a_provider_that_is_down_loses_nothing_and_is_asked_again_later(
    workspace, embedder, monkeypatch
):
    remember(workspace, "The valve is open.")

    def down(texts, *, budget=None):
        raise EmbeddingError("endpoint is down", retryable=True, retry_after=30.0)

    monkeypatch.setattr(embedder, "embed", down)
    tasks.embed_passages(str(workspace.id), Lane.INTERACTIVE)
    assert pending(workspace) == ["The valve is open."]
    assert ProcrastinateJob.objects.filter(status="todo", scheduled_at__isnull=False).exists()
    answer = ask_fully(workspace, "valve open")
    assert answer.legs == ["lexical"]
    assert answer.semantic_unavailable
    assert len(answer.hits) == 1


def test_one_text_that_cannot_be_embedded_does_not_stop_the_others(
    workspace, embedder, monkeypatch
):
    for text in ("good", "poison", "better"):
        remember(workspace, text)
    original = embedder.embed

    def refuse_poison(texts, *, budget=None):
        if "poison" in texts:
            raise EmbeddingError("refused", retryable=False)
        return original(texts)

    monkeypatch.setattr(embedder, "embed", refuse_poison)
    embed_pending(workspace.id, seconds=30)
    assert pending(workspace) == ["poison"]
    with workspace_scope(workspace.id):
        assert Passage.objects.get(text="poison").lane == Lane.REFUSED


def test_the_sweep_finds_what_no_job_is_about(workspace, embedder, monkeypatch):
    monkeypatch.setattr("memory.tasks.get_embedder", lambda: embedder)
    remember(workspace, "The valve is open.")
    ProcrastinateJob.objects.all()._raw_delete("default")
    tasks.sweep_passages(0)
    job = ProcrastinateJob.objects.get(task_name="memory.embed_passages")
    assert job.args == {"workspace_id": str(workspace.id), "lane": Lane.INTERACTIVE.value}


@pytest.mark.django_db(transaction=True)
def test_a_thousand_writes_leave_one_job_waiting(embedder):
    from tests import factories

    workspace = factories.make_workspace("greenhouse")
    ProcrastinateJob.objects.all()._raw_delete("default")
    for n in range(5):
        remember(workspace, f"note {n}")
    assert ProcrastinateJob.objects.filter(status="todo").count() == 1
    ProcrastinateJob.objects.all()._raw_delete("default")


def test_a_rolled_back_write_leaves_no_job(workspace, embedder, django_capture_on_commit_callbacks):
    before = ProcrastinateJob.objects.count()
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(ZeroDivisionError):
        with workspace_scope(workspace.id):
            make_memory("never committed")
            _ = 1 / 0
    assert ProcrastinateJob.objects.count() == before


def test_a_provider_is_left_alone_for_an_hour_at_most():
    waiting = tasks.Backoff()
    assert [waiting.failed("one", None) for _ in range(3)] == [1.0, 2.0, 4.0]
    assert waiting.failed("one", 90.0) == 90.0
    assert waiting.failed("one", 999_999_999.0) == 3600.0
    assert 3500 < waiting.left("one") <= 3600
    assert waiting.left("another") == 0
