"""What one source wrote is taken back as a unit, with what follows, and comes back whole."""

import uuid
from datetime import timedelta

import pytest
from django.core.management import call_command

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, Invalid, NotFound
from config.lib.scope import workspace_scope
from contacts.models import Contact, Revision
from contacts.services import funnel
from contacts.services.addresses import Labelled
from contacts.services.contacts import create_contact, update_contact
from contacts.services.keys import create_key
from memory.models import Memory, MemoryDuplicate, MemoryLink, Unlearning
from memory.models.duplicates import Kept
from memory.models.memory import MemoryState
from memory.models.unlearning import UnlearningKind
from memory.search.funnel import search
from memory.search.schemas import SearchQuery
from memory.services import expiry
from memory.services.duplicates import merge_duplicate
from memory.services.memories import (
    NewMemory,
    create_memory,
    delete_memory,
    link_memories,
    unlink_memories,
    update_memory,
)
from memory.services.unlearning import propose_unlearning, run_unlearning, undo_unlearning
from sessions.models import Task
from sessions.services.tasks import create_task, update_task
from tests.factories import ALICE, make_agent, make_memory, make_session, nowhere


@pytest.fixture
def agent(scoped):

    key, _ = create_key(actor=ALICE, agent=make_agent("codex"), name="nightly")
    return Actor("key", str(key.pk), "codex", "api", agent_id=key.agent_id)


def remembered(actor, text, **fields):
    return create_memory(actor=actor, new=NewMemory(text=text, fields=fields))[0]


def states():
    return {row.text: row.state for row in Memory.objects.all()}


def everything():
    """What there is, but for what each write changes by itself."""
    found = {row.pk: (row.text, row.state, row.tags) for row in Memory.objects.all()}
    found |= {row.pk: (row.title, row.status) for row in Task.objects.all()}
    people = Contact.objects.prefetch_related("emails")
    return found | {
        row.pk: (row.name, row.notes, sorted(one.email for one in row.emails.all()))
        for row in people
    }


def wrote(agent):
    """A key's work of a night, and what others made of it."""
    before = make_memory("The valve is blue.")
    update_memory(actor=agent, memory_id=before.id, changes={"text": "The valve is red."})
    task, _ = create_task(actor=ALICE, title="Check the valve")
    update_task(actor=agent, task_id=task.id, changes={"title": "Burn the valve"})
    own, _ = create_task(actor=agent, title="Sell the house")
    person = create_contact(
        actor=agent, fields={"name": "Mallory", "emails": [Labelled("m@example.com")]}
    )
    wrong = remembered(agent, "The pump eats seedlings.")
    changed = remembered(agent, "The pump sings.")
    update_memory(actor=ALICE, memory_id=changed.id, changes={"text": "The pump hums."})
    follows = make_memory("Keep seedlings off the pump.", actor="job")
    both = make_memory("Pumps are dangerous.")
    for one, other in ((follows, wrong), (both, wrong), (both, before)):
        link_memories(actor=ALICE, source_id=one.id, target_id=other.id, relation="derived_from")
    return task, own, person


def unlearn(agent, **more):
    kind, target = UnlearningKind.KEY, uuid.UUID(agent.id)
    return propose_unlearning(actor=ALICE, kind=kind, target_id=target, **more)


def test_a_keys_work_goes_and_comes_back(agent):
    task, own, person = wrote(agent)
    before = everything()
    unit = unlearn(agent, reason="it was hijacked")
    assert everything() == before, "a preview writes nothing"
    assert unit.preview["archived"] == {"memory": 1}
    assert unit.preview["removed"] == {"contact": 1, "task": 1}
    assert unit.preview["reverted"] == {"memory": 1, "task": 1}
    done = run_unlearning(actor=ALICE, unlearning_id=unit.pk)
    assert done.report == unit.preview
    task.refresh_from_db()
    assert task.title == "Check the valve"
    assert not Task.objects.filter(pk=own.pk).exists()
    assert not Contact.objects.filter(pk=person.pk).exists()
    assert states() == {
        "The valve is blue.": "active",
        "The pump eats seedlings.": "archived",
        "The pump hums.": "active",
        # A person made it, though of nothing else.
        "Keep seedlings off the pump.": "active",
        "Pumps are dangerous.": "active",
    }
    assert {one["why"] for one in done.report["kept"]} == {
        "it was changed since", "it has another source", "a person made or changed it",
    }  # fmt: skip
    assert not search(query=SearchQuery(q="eats", mode="lexical")).hits
    with pytest.raises(Conflict):
        run_unlearning(actor=ALICE, unlearning_id=unit.pk)
    undone = undo_unlearning(actor=ALICE, unlearning_id=unit.pk)
    assert undone.undone["staying"] == {}
    assert everything() == before
    assert search(query=SearchQuery(q="eats", mode="lexical")).hits


def test_what_was_changed_after_it_stays_when_it_comes_back(agent):
    task, _, person = wrote(agent)
    unit = unlearn(agent)
    run_unlearning(actor=ALICE, unlearning_id=unit.pk)
    update_task(actor=ALICE, task_id=task.id, changes={"title": "Paint the valve"})
    undone = undo_unlearning(actor=ALICE, unlearning_id=unit.pk)
    assert [(one["id"], one["why"]) for one in undone.undone["kept"]] == [
        (str(task.pk), "it was changed since")
    ]
    task.refresh_from_db()
    assert task.title == "Paint the valve"
    assert Contact.objects.filter(pk=person.pk).exists()


def test_what_it_superseded_or_tied_to_its_own_is_as_it_was(agent):
    replaced, tied, parted = (make_memory(text) for text in ("Replaced.", "Tied.", "Parted."))
    removed = make_memory("Removed.")
    other = Actor("key", str(nowhere()), "other", "api")
    link_memories(actor=other, source_id=tied.id, target_id=parted.id, relation="supersedes")
    false = remembered(agent, "False.")
    page = remembered(agent, "Of a page.", trust="external")
    links = MemoryLink.objects.filter(source=tied, target=parted)
    unlink_memories(actor=agent, memory_id=tied.id, link_id=links.get().id)
    link_memories(actor=agent, source_id=false.id, target_id=replaced.id, relation="supersedes")
    link_memories(actor=agent, source_id=tied.id, target_id=page.id, relation="derived_from")
    delete_memory(actor=agent, memory_id=removed.id)

    def found():
        return {row.text: (row.state, row.trust, row.valid_to) for row in Memory.objects.all()}

    after_it = found()
    assert (after_it["Replaced."][0], after_it["Tied."][1]) == ("superseded", "external")
    unit = unlearn(agent)
    # As agents' keys with the scope `erase` do it, who may not raise trust by themselves.
    owner = Actor("key", str(nowhere()), "owner", "api")
    done = run_unlearning(actor=owner, unlearning_id=unit.pk)
    assert done.report["kept"] == []
    states = {text: (state, trust) for text, (state, trust, _) in found().items()}
    assert states == {
        "Replaced.": ("active", "agent"), "Tied.": ("active", "agent"),
        "Parted.": ("superseded", "agent"), "Removed.": ("active", "agent"),
        "False.": ("archived", "agent"), "Of a page.": ("archived", "external"),
    }  # fmt: skip
    undone = undo_unlearning(actor=owner, unlearning_id=unit.pk)
    assert undone.undone["kept"] == []
    came_back = found()
    assert came_back.keys() == after_it.keys()
    assert {text: one[:2] for text, one in came_back.items()} == {
        text: one[:2] for text, one in after_it.items()
    }


def test_a_merge_is_parted_and_what_a_person_decided_stays(agent):
    kept, lost = remembered(agent, "The pump hums."), make_memory("It hums.")
    pair = MemoryDuplicate(older=lost, newer=kept, similarity=0.95, overlap=0.9)
    funnel.create(pair, actor=ALICE)
    merge_duplicate(actor=agent, duplicate_id=pair.pk, keep=Kept.NEWER)
    known = make_memory("The pump is silent.")
    louder = remembered(agent, "The pump is loud.")
    link_memories(actor=ALICE, source_id=louder.id, target_id=known.id, relation="supersedes")
    unit = unlearn(agent)
    report = run_unlearning(actor=ALICE, unlearning_id=unit.pk).report
    assert [(one["id"], one["why"]) for one in report["kept"]] == [
        (str(known.pk), "a person said that another takes its place")
    ]
    assert states()["It hums."] == "active"
    pair.refresh_from_db()
    assert pair.state == "open"
    undo_unlearning(actor=ALICE, unlearning_id=unit.pk)
    assert states()["It hums."] == "superseded"


def test_what_was_derived_by_a_job_goes_along(agent):
    job = Actor("job", "learn", "learn", "job")
    wrong = remembered(agent, "The pump eats seedlings.")
    chain = [wrong]
    for number in range(3):
        chain.append(remembered(job, f"Conclusion {number}."))
        link_memories(
            actor=job, source_id=chain[-1].id, target_id=chain[-2].id, relation="derived_from"
        )
    unit = unlearn(agent)
    done = run_unlearning(actor=ALICE, unlearning_id=unit.pk)
    assert done.report["archived"] == {"memory": 4}
    assert set(states().values()) == {MemoryState.ARCHIVED}
    undo_unlearning(actor=ALICE, unlearning_id=unit.pk)
    assert set(states().values()) == {MemoryState.ACTIVE}


def test_what_names_it_as_its_only_parent_goes_along(agent):
    """As an agent says where a thought is from: over REST, MCP and of another program's store."""
    poison, sound = remembered(agent, "The pump eats seedlings."), make_memory("Pumps hum.")
    codex = Actor("key", str(uuid.uuid4()), "other", "api", agent_id=make_agent("other").id)

    def thought(text, *parents):
        new = NewMemory(text=text, parents=[one.id for one in parents])
        return create_memory(actor=codex, new=new)[0]

    follows = thought("Keep seedlings off the pump.", poison)
    thought("Move the seedlings.", follows)
    thought("Pumps hum at night.", sound, poison)
    before = everything()
    unit = unlearn(agent)
    run_unlearning(actor=ALICE, unlearning_id=unit.pk)
    assert states() == {
        "The pump eats seedlings.": "archived", "Keep seedlings off the pump.": "archived",
        "Move the seedlings.": "archived", "Pumps hum.": "active", "Pumps hum at night.": "active",
    }  # fmt: skip
    undo_unlearning(actor=ALICE, unlearning_id=unit.pk)
    assert everything() == before


def test_a_session_loses_what_was_remembered_in_it_but_not_what_a_person_saved(agent):
    session = make_session(actor=agent, agent=make_agent("codex"))
    remembered(agent, "Said in it.", session_id=session.id)
    remembered(Actor("job", "learn", "learn", "job"), "Learned of it.", session_id=session.id)
    make_memory("A person's own.", session_id=session.id)
    remembered(agent, "Said elsewhere.")
    unit = propose_unlearning(
        actor=ALICE, kind=UnlearningKind.SESSION, target_id=session.id, reason="poisoned"
    )
    run_unlearning(actor=ALICE, unlearning_id=unit.pk)
    assert states() == {
        "Said in it.": "archived", "Learned of it.": "archived", "A person's own.": "active",
        "Said elsewhere.": "active",
    }  # fmt: skip
    said = Revision.objects.filter(request_id=str(unit.pk), action="unlearn")
    assert {row.reason for row in said} == {"poisoned"}


def test_a_run_is_known_by_what_it_wrote(agent):
    run = nowhere()
    person = create_contact(actor=ALICE, fields={"name": "Ada"})
    by_run = Actor("user", "1", "alice", "job", str(run))
    update_contact(actor=by_run, contact_id=person.pk, changes={"notes": "Wrong."})
    unit = propose_unlearning(actor=ALICE, kind=UnlearningKind.RUN, target_id=run)
    assert run_unlearning(actor=ALICE, unlearning_id=unit.pk).report["reverted"] == {"contact": 1}
    assert Contact.objects.get(pk=person.pk).notes == ""


def test_there_must_be_such_a_source_and_it_must_not_be_too_much(agent):
    for kind in UnlearningKind:
        refusal = Invalid if kind == UnlearningKind.IMPORT else NotFound
        with pytest.raises(refusal):
            propose_unlearning(actor=ALICE, kind=kind, target_id=nowhere())
    remembered(agent, "One.")
    remembered(agent, "Two.")
    with pytest.raises(Conflict) as refusal:
        unlearn(agent, most=1)
    assert refusal.value.code == "too_much"
    assert unlearn(agent, most=None).preview["archived"] == {"memory": 2}
    assert Unlearning.objects.count() > 0


def test_the_shell_takes_back_and_brings_back(db, workspace, capsys):
    with workspace_scope(workspace.id):
        key, _ = create_key(actor=ALICE, agent=make_agent("codex"), name="nightly")
        remembered(Actor("key", str(key.pk), "codex", "api"), "The pump eats seedlings.")
    wanted = ["--workspace", workspace.slug]
    call_command("unlearn", *wanted, "--key", key.short_id, "--preview")
    assert "would be archived: 1 memory" in capsys.readouterr().out
    call_command("unlearn", *wanted, "--key", key.short_id, "--since", "2099-01-01")
    assert "archived" not in capsys.readouterr().out
    call_command("unlearn", *wanted, "--key", key.short_id)
    said = capsys.readouterr().out
    assert "was archived: 1 memory" in said
    with workspace_scope(workspace.id):
        assert states() == {"The pump eats seedlings.": "archived"}
    call_command("unlearn", *wanted, "--undo", said.split()[-1])
    with workspace_scope(workspace.id):
        assert states() == {"The pump eats seedlings.": "active"}


def test_what_had_expired_is_so_again_when_it_comes_back(agent):
    """In use as of a time before, then in no answer at all, then as it was."""
    now = clock.now()
    then, ended = now - timedelta(days=20), now - timedelta(days=10)
    wrong = remembered(agent, "The pump eats seedlings.", recorded_at=then, expires_at=ended)
    update_memory(actor=expiry.JOB, memory_id=wrong.pk, changes={"state": MemoryState.ARCHIVED})

    def known():
        query = SearchQuery(q="eats", mode="lexical", as_of=now - timedelta(days=15))
        return [hit.text for hit in search(query=query).hits]

    assert known() == ["The pump eats seedlings."]
    unit = unlearn(agent)
    run_unlearning(actor=ALICE, unlearning_id=unit.pk)
    assert known() == []
    undone = undo_unlearning(actor=ALICE, unlearning_id=unit.pk)
    assert (undone.undone["reverted"], undone.undone["staying"]) == ({"memory": 1}, {})
    wrong.refresh_from_db()
    assert (wrong.state, wrong.expired_at) == (MemoryState.ARCHIVED, ended)
    assert known() == ["The pump eats seedlings."]
