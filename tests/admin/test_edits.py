"""Editing: what was changed is recorded, what was not stays, what is stale is refused."""

import re

import pytest
from django.contrib.admin.models import LogEntry

from config.lib.scope import workspace_scope
from contacts.models import Agent, Revision, Workspace
from memory.models import Memory
from memory.services.memories import NewMemory, create_memory, update_memory
from sessions.models import Project, Session, Thread
from tests.admin.pages import MAX_QUERIES, form_of, queries_of, sent_by, url
from tests.factories import ALICE, make_agent, make_memory, make_session


def last_change(workspace, row):
    with workspace_scope(workspace.id):
        return Revision.objects.filter(object_id=row.pk).order_by("-id").first()


def reread(workspace, row):
    with workspace_scope(workspace.id):
        return type(row).objects.get(pk=row.pk)


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        (Agent, "name", "renamed"),
        (Project, "title", "Greenhouse 2"),
        (Session, "name", "Water them twice"),
        (Thread, "name", "the main one"),
        (Memory, "text", "The pump starts at one."),
        (Workspace, "name", "The greenhouse"),
    ],
    ids=lambda value: getattr(getattr(value, "_meta", None), "model_name", None),
)
def test_an_edit_leaves_a_revision_by_the_person(alice, workspace, rows, model, field, value):
    row = rows[model]
    address = url(model, "change", row.pk)
    data = form_of(alice, address) | {field: value, "_reason": "it was asked for"}
    response = alice.post(address, data)
    assert response.status_code == 302, response.context["adminform"].form.errors
    assert getattr(reread(workspace, row), field) == value
    change = last_change(workspace, row)
    assert (change.action, change.channel, change.actor_label) == ("update", "admin", "alice")
    assert change.after[field] == value
    assert change.reason == "it was asked for"
    assert change.request_id
    assert LogEntry.objects.count() == 0


@pytest.mark.parametrize("model", [Agent, Project, Session, Thread, Memory, Workspace])
def test_saving_a_page_untouched_changes_nothing(alice, workspace, rows, model):
    with workspace_scope(workspace.id):
        make_memory("Two\nlines, and a space at the end. \n", tags=["a, b", "c"])
        make_agent("lister")
    row = rows[model]
    before = last_change(workspace, row)
    assert (
        alice.post(
            url(model, "change", row.pk), form_of(alice, url(model, "change", row.pk))
        ).status_code
        == 302
    )
    assert last_change(workspace, row) == before


def test_a_text_keeps_its_lines_spaces_and_tags_with_commas(alice, workspace):
    with workspace_scope(workspace.id):
        memory = make_memory("Two\nlines, and a space. \n", tags=["a, b", "c"], data={"k": [1]})
    address = url(Memory, "change", memory.pk)
    assert alice.post(address, form_of(alice, address) | {"confidence": "0.9"}).status_code == 302
    after = reread(workspace, memory)
    assert (after.text, after.tags, after.data) == (memory.text, ["a, b", "c"], {"k": [1]})
    assert last_change(workspace, memory).after == {"confidence": 0.9}


def test_an_emptied_list_is_an_empty_list(alice, workspace, rows):
    memory = rows[Memory]
    address = url(Memory, "change", memory.pk)
    data = form_of(alice, address) | {"tags": "", "metadata": ""}
    assert alice.post(address, data).status_code == 302
    assert reread(workspace, memory).tags == []
    assert reread(workspace, memory).metadata == {}


def test_a_stale_page_is_refused_with_both_versions_shown(alice, workspace, rows):
    memory = rows[Memory]
    address = url(Memory, "change", memory.pk)
    opened = form_of(alice, address)
    with workspace_scope(workspace.id):
        update_memory(
            actor=ALICE,
            memory_id=memory.pk,
            changes={"text": "The pump starts at two.", "confidence": 0.8},
        )
    response = alice.post(address, opened | {"text": "The pump starts at three."})
    page = response.content.decode()
    assert response.status_code == 409
    assert reread(workspace, memory).text == "The pump starts at two."
    clash = next(c for c in response.context["conflict"].clashes if c.label == "Text")
    assert (clash.opened, clash.now, clash.yours) == (
        "The pump starts at noon.", "The pump starts at two.", "The pump starts at three.",
    )  # fmt: skip
    assert "Somebody changed this" in page
    # The form again: their own change over the row as it is now.
    form = response.context["adminform"].form
    assert form["text"].value() == "The pump starts at three."
    assert form["confidence"].value() == 0.8
    # Saving it now is a decision, and undoes nothing of the other's.
    assert alice.post(address, sent_by(page)).status_code == 302
    after = reread(workspace, memory)
    assert (after.text, after.confidence) == ("The pump starts at three.", 0.8)


@pytest.mark.parametrize("version", ["", "0", "nonsense", "99999999999", "²"])
def test_a_page_that_does_not_say_what_it_saw_is_refused(alice, workspace, rows, version):
    session = rows[Session]
    address = url(Session, "change", session.pk)
    data = form_of(alice, address) | {"name": "taken over", "_version": version}
    assert alice.post(address, data).status_code == 409
    assert reread(workspace, session).name == "Water the seedlings"


def test_what_a_service_refuses_is_said_in_the_form_and_nothing_is_kept(alice, workspace, rows):
    with workspace_scope(workspace.id):
        make_agent("taken")
    address = url(Agent, "change", rows[Agent].pk)
    response = alice.post(address, form_of(alice, address) | {"name": "taken"})
    assert response.status_code == 200
    assert "There is an agent named" in response.content.decode()
    assert reread(workspace, rows[Agent]).name == "claude-code"
    address = url(Memory, "change", rows[Memory].pk)
    sent = form_of(alice, address) | {
        "valid_from_0": "2026-02-02", "valid_from_1": "00:00:00",
        "valid_to_0": "2026-01-01", "valid_to_1": "00:00:00",
    }  # fmt: skip
    response = alice.post(address, sent)
    assert "lies before valid_from" in str(response.context["adminform"].form.errors["valid_to"])


def test_new_rows_are_made_by_their_services(alice, workspace, rows):
    made = alice.post(url(Project, "add"), {"title": "Orchard", "description": "", "repo_url": ""})
    assert made.status_code == 302
    made = alice.post(
        url(Memory, "add"),
        {"text": "Apples ripen in autumn.", "kind": "fact", "confidence": "0.9",
         "trust": "operator", "tags": "apples\r\nfruit", "session": "", "project": ""}
        | {f"{p}-{n}": "0" for p in ("about", "evidence", "links_out", "links_in")
           for n in ("TOTAL_FORMS", "INITIAL_FORMS")},
    )  # fmt: skip
    assert made.status_code == 302, made.context["adminform"].form.errors
    made = alice.post(
        url(Session, "add"),
        {"name": "By hand", "agent": str(rows[Agent].pk), "project": "", "role": "chief",
         "mode": "interactive", "parent": "", "prompt": "Begin."},
    )  # fmt: skip
    assert made.status_code == 302, made.context["adminform"].form.errors
    with workspace_scope(workspace.id):
        assert Project.objects.filter(title="Orchard").exists()
        memory = Memory.objects.get(text="Apples ripen in autumn.")
        assert (memory.tags, memory.trust, memory.actor) == (
            ["apples", "fruit"],
            "operator",
            "user",
        )
        session = Session.objects.get(name="By hand")
        assert session.conversation_id.startswith("chief-")
        for row in (memory, session):
            created = Revision.objects.get(object_id=row.pk, action="create")
            assert (created.actor_label, created.channel) == ("alice", "admin")


def test_deleting_shows_what_goes_and_leaves_a_revision(alice, workspace, rows):
    session = rows[Session]
    address = url(Session, "delete", session.pk)
    page = alice.get(address).content.decode()
    assert "Messages: 2" in page
    assert "Memories that stay, without this session: 1" in page
    assert alice.post(address, {"post": "yes"}).status_code == 302
    with workspace_scope(workspace.id):
        assert not Session.objects.filter(pk=session.pk).exists()
        assert Memory.objects.filter(text="The pump starts at noon.").exists()
    change = last_change(workspace, session)
    assert (change.action, change.actor_label) == ("delete", "alice")
    assert LogEntry.objects.count() == 0


def test_what_others_need_is_not_deleted(alice, workspace, rows):
    agent = rows[Agent]
    page = alice.get(url(Agent, "delete", agent.pk)).content.decode()
    assert "1 sessions belong to it" in page
    assert alice.post(url(Agent, "delete", agent.pk), {"post": "yes"}).status_code in (200, 302)
    assert reread(workspace, agent)


def test_many_are_deleted_at_once_each_with_its_revision(alice, workspace):
    with workspace_scope(workspace.id):
        rows = [make_session(name=f"Old {n}") for n in range(3)]
    sent = {"action": "delete_selected", "_selected_action": [str(r.pk) for r in rows]}
    confirm = alice.post(url(Session, "changelist"), sent)
    assert "Old 1" in confirm.content.decode()
    alice.post(url(Session, "changelist"), sent | {"post": "yes"})
    with workspace_scope(workspace.id):
        assert not Session.objects.exists()
        assert Revision.objects.filter(action="delete", actor_label="alice").count() == 3
    assert LogEntry.objects.count() == 0


def test_a_review_decision_is_one_click(alice, workspace):
    with workspace_scope(workspace.id):
        memory = make_memory("Perhaps.", state="quarantined", trust="external")
    address = f"/admin/memory/memory/{memory.pk}/do/approve/"
    assert alice.get(address).status_code == 405
    assert (
        alice.post(address, {"next": "/admin/memory/memory/"})["Location"]
        == "/admin/memory/memory/"
    )
    after = reread(workspace, memory)
    assert (after.state, after.trust) == ("active", "verified")
    assert last_change(workspace, memory).actor_label == "alice"
    elsewhere = alice.post(address, {"next": "https://evil.example/"})
    assert elsewhere["Location"].startswith("/admin/")


def test_many_memories_are_decided_at_once(alice, workspace):
    with workspace_scope(workspace.id):
        rows = [make_memory(f"Perhaps {n}.", state="quarantined") for n in range(3)]
        rows.append(make_memory("Surely."))
    alice.post(
        url(Memory, "changelist"),
        {"action": "approve", "_selected_action": [str(r.pk) for r in rows]},
    )
    assert {reread(workspace, row).state for row in rows} == {"active"}


def test_a_proposal_is_found_by_where_it_comes_from_and_rejected(alice, workspace):
    with workspace_scope(workspace.id):
        made_by = {
            "Ruled.": "extracted by rule fixed",
            "Modelled.": "proposed by openai m-1",
            "Saved.": "",
        }
        rows = [
            make_memory(text, state="quarantined", method=method)
            for text, method in made_by.items()
        ]
    address = url(Memory, "changelist")
    for wanted, text in (("rule", "Ruled."), ("model", "Modelled.")):
        page = alice.get(address, {"extraction": wanted}).content.decode()
        assert [one for one in made_by if one in page] == [text]
    alice.post(address, {"action": "reject", "_selected_action": [str(r.pk) for r in rows]})
    assert {reread(workspace, row).state for row in rows} == {"archived"}


def test_history_shows_who_changed_what_word_by_word(alice, rows):
    memory = rows[Memory]
    address = url(Memory, "change", memory.pk)
    alice.post(address, form_of(alice, address) | {"text": "The pump starts at one."})
    page = alice.get(url(Memory, "history", memory.pk)).content.decode()
    assert "<del>noon</del>" in page
    assert "<ins>one</ins>" in page
    assert "alice" in page


def test_history_names_rows_and_says_what_differs_inside_of_json(alice, workspace):
    with workspace_scope(workspace.id):
        session = make_session(name="The night shift")
        memory = make_memory("It hums.", data={"pump": {"hertz": 50, "name": "old"}, "ok": True})
        update_memory(
            actor=ALICE,
            memory_id=memory.pk,
            changes={"data": {"pump": {"hertz": 60, "name": "old"}, "ok": True}},
        )
        new = NewMemory("It hums on.", fields={"session_id": session.pk}, causes=[memory.pk])
        other, _ = create_memory(actor=ALICE, new=new)
    page = alice.get(url(Memory, "history", memory.pk)).content.decode()
    assert "Data › pump › hertz" in page
    assert "<del>50</del>" in page
    assert "<ins>60</ins>" in page
    assert "name: old" in page
    assert "Data › ok" not in page
    for address in (url(Memory, "history", other.pk), url(Memory, "read", other.pk)):
        assert len(queries_of(alice, address)) <= MAX_QUERIES
    shown = alice.get(url(Memory, "history", other.pk)).content.decode()
    assert re.search(rf'href="[^"]*{session.pk}[^"]*"><span>The night shift</span>', shown)
    assert "target: It hums." in shown
