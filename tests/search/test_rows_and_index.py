"""The index follows its rows: changed, deleted, made anew, and never across a workspace."""

import pytest
from django.core.management import call_command

from config.lib.scope import workspace_scope
from contacts.services import funnel
from memory.models import Memory, Passage
from memory.models.passage import Lane
from memory.services.memories import NewEvidence, NewMemory, create_memory, update_memory
from memory.services.passages import reindex_workspace
from sessions.models import Message, Session
from sessions.services.events import NewEvent, append_events
from sessions.services.sessions import delete_session
from sessions.services.threads import NewMessage, append_messages, delete_thread
from tests.factories import ALICE, make_memory, make_thread
from tests.search.asking import ask, ask_fully, embed_all, texts

pytestmark = pytest.mark.slow


def say(thread, *contents: str) -> list[Message]:
    rows, _ = append_messages(
        actor=ALICE,
        thread_id=thread.id,
        messages=[NewMessage(role="user", content=content) for content in contents],
    )
    return rows


def test_a_changed_text_is_found_by_its_new_words_only(scoped):
    memory = make_memory("The key is under the doormat.")
    make_memory("A doormat was bought.")
    update_memory(actor=ALICE, memory_id=memory.id, changes={"text": "The key is in the shed."})
    assert texts(ask("doormat")) == ["A doormat was bought."]
    assert [hit.id for hit in ask("shed").hits] == [memory.id]


def test_an_event_without_a_text_is_not_indexed(scoped):
    session = make_thread().session
    append_events(
        actor=ALICE,
        session_id=session.id,
        events=[NewEvent("decision_made", text="Use a byte-wide counter."), NewEvent("tick")],
    )
    assert [hit.kind for hit in ask("byte-wide counter").hits] == ["event"]
    assert Passage.objects.filter(of_event__isnull=False).count() == 1


def test_an_event_that_names_its_message_is_found_there_and_not_twice(scoped):
    thread = make_thread()
    say(thread, "git status")
    append_events(
        actor=ALICE,
        session_id=thread.session_id,
        events=[NewEvent("tool_use", text="git status", data={"message_uuid": "u1"})],
    )
    assert [hit.kind for hit in ask("git status").hits] == ["message"]


def test_what_waits_for_review_is_not_found_unless_asked_for(scoped):
    make_memory("The moon is made of cheese.", state="quarantined")
    make_memory("Cheese is in the fridge.")
    assert texts(ask("cheese")) == ["Cheese is in the fridge."]
    assert texts(ask("cheese", states=["quarantined"])) == ["The moon is made of cheese."]


@pytest.mark.parametrize("mode", ["hybrid", "semantic", "lexical"])
def test_nothing_of_another_workspace_is_found(workspace, other_workspace, embedder, mode):
    for place in (workspace, other_workspace):
        with workspace_scope(place.id):
            make_memory(f"The secret of {place.slug} is the sluice gate.")
        embed_all(place)
    answer = ask_fully(workspace, "secret sluice gate", mode=mode)
    assert texts(answer) == ["The secret of greenhouse is the sluice gate."]


@pytest.mark.parametrize("mode", ["hybrid", "semantic", "lexical"])
def test_a_filter_that_leaves_few_rows_finds_all_there_are(workspace, embedder, mode):
    with workspace_scope(workspace.id):
        for n in range(300):
            make_memory(f"Reading number {n} of the humidity sensor.")
        wanted = {make_memory(f"Rare reading {n} of it.", tags=["rare"]).id for n in range(3)}
    embed_all(workspace)
    answer = ask_fully(workspace, "reading of the humidity sensor", tags=["rare"], mode=mode)
    assert {hit.id for hit in answer.hits} == wanted


def test_deleting_a_session_takes_its_passages_and_frees_evidence(scoped):
    thread = make_thread()
    (message,) = say(thread, "We decided on copper pipes.")
    memory, _ = create_memory(
        actor=ALICE,
        new=NewMemory(
            text="Pipes are copper.",
            fields={"session_id": thread.session_id},
            evidence=[NewEvidence(message_id=message.id, quote="copper pipes")],
        ),
    )
    delete_session(actor=ALICE, session_id=thread.session_id)
    assert [hit.id for hit in ask("copper").hits] == [memory.id]
    kept = Memory.objects.get(pk=memory.pk)
    assert kept.session_id is None
    assert [(e.message_id, e.quote) for e in kept.evidence.all()] == [(None, "copper pipes")]
    assert not Session.objects.exists()


def test_deleting_a_thread_takes_its_passages_and_frees_evidence(scoped):
    thread = make_thread()
    (message,) = say(thread, "We decided on copper pipes.")
    memory, _ = create_memory(
        actor=ALICE,
        new=NewMemory(text="Pipes are metal.", evidence=[NewEvidence(message_id=message.id)]),
    )
    assert delete_thread(actor=ALICE, thread_id=thread.id) == 1
    assert not Passage.objects.filter(of_message__isnull=False).exists()
    assert memory.evidence.get().message_id is None


def test_an_index_made_anew_is_the_same_and_keeps_its_vectors(workspace, embedder):
    with workspace_scope(workspace.id):
        say(make_thread(), "The valve is open.", "The pump is off.")
        make_memory("The shed has no lock.")
    embed_all(workspace)

    def rows():
        with workspace_scope(workspace.id):
            found = Passage.objects.order_by("text", "chunk")
            return [(p.text, p.lexical, p.kind) for p in found]

    before = rows()
    embedder.batches.clear()
    with workspace_scope(workspace.id):
        Passage.objects.filter(text="The pump is off.").delete()
    assert reindex_workspace(workspace.id) == len(before)
    embed_all(workspace)
    assert rows() == before
    assert embedder.batches == [["The pump is off."]]


def test_a_reindex_gives_refused_texts_another_try(workspace, embedder, monkeypatch):
    with workspace_scope(workspace.id):
        make_memory("poison")
        Passage.objects.update(lane=Lane.REFUSED)
    embed_all(workspace)
    assert embedder.batches == []
    monkeypatch.setattr("memory.management.commands.reindex.get_embedder", lambda: embedder)
    call_command("reindex")
    embed_all(workspace)
    assert embedder.batches == [["poison"]]


def test_a_changed_memory_keeps_the_vectors_of_what_did_not_change(workspace, embedder):
    parts = [
        f"## Part {n}\n\n" + f"The gardener wrote entry {n} of the log. " * 15 for n in range(4)
    ]
    with workspace_scope(workspace.id):
        memory = make_memory("\n\n".join(parts))
    embed_all(workspace)
    embedder.batches.clear()
    with workspace_scope(workspace.id):
        # A part in front moves all the others.
        changed = "\n\n".join(["## News\n\n" + "The pump was replaced today. " * 20, *parts[:3]])
        update_memory(actor=ALICE, memory_id=memory.id, changes={"text": changed})
        assert Passage.objects.filter(embedding=None).count() == 1
    embed_all(workspace)
    [[only]] = embedder.batches
    assert only.startswith("## News")


def test_an_erased_memory_leaves_nothing_in_the_index(scoped):
    memory = make_memory("The secret is out.")
    row = funnel.get_row(Memory, memory.id, lock=True)
    funnel.update(row, {"state": "erased"}, actor=ALICE)
    assert not Passage.objects.exists()
