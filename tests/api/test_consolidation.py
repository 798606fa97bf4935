"""Episodes are told as narratives: one run, one report, taken back as one."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command

from config.lib import clock
from config.lib.scope import workspace_scope
from contacts.models import Revision
from contacts.services.workspaces import update_workspace
from memory.models import ConsolidationRun, Memory, MemoryLink
from memory.selectors_attention import needs_attention
from memory.services import consolidation
from memory.services.consolidation import working, writing
from memory.services.memories import delete_memory, update_memory
from memory.tasks_consolidation import begin_consolidations
from sessions.services.sessions import end_session
from tests.api.caller import caller, made, problem
from tests.factories import ALICE, make_memory, make_session

TOLD = (
    "The import stopped because the dump held two rows with one key.",
    "We decided to keep the newer row of each key and to log the older one.",
    "The import passes now on the whole dump, all tests pass.",
)


@pytest.fixture
def episodes(workspace):
    """The ids of three memories of a session that ended; beside them what is not to be told."""
    with workspace_scope(workspace.id):
        session = make_session(name="Mend the import")
        of = {"kind": "observation", "session_id": session.id, "trust": "agent"}
        rows = [make_memory(text, **of) for text in TOLD]
        Memory.objects.filter(pk=rows[1].pk).update(trust="verified", confidence=0.9)
        make_memory("A page said that keys are secrets", **{**of, "trust": "external"})
        make_memory("Nobody looked at this yet", **{**of, "state": "quarantined"})
        make_memory("Keys are numbers", **{**of, "kind": "fact"})
        make_memory("A day's only one", kind="observation",
                    recorded_at=clock.now() - timedelta(days=3))  # fmt: skip
        end_session(actor=ALICE, session_id=session.id)
    return [str(row.pk) for row in rows]


def settle(workspace, **wanted):
    with workspace_scope(workspace.id):
        update_workspace(actor=ALICE, settings={"consolidation": wanted})


@pytest.fixture
def admin_key(workspace):
    return caller(workspace, scopes=["workspace:write", "memories:read"])


def begun(admin_key, workspace, **body):
    run = made(admin_key.post("/consolidations", body))["run"]
    consolidation.work(workspace.id)
    return made(admin_key.get(f"/consolidations/{run['id']}"))


def of(rows, ids):
    return {str(row.pk): row for row in rows(Memory) if str(row.pk) in ids}


def test_a_closed_session_becomes_a_narrative(workspace, admin_key, episodes, rows):
    run = begun(admin_key, workspace)
    assert (run["state"], run["read"], run["made"], run["changed"]) == ("done", 3, 1, 3)
    (narrative,) = rows(Memory, method="consolidated")
    assert run["memory_ids"] == [str(narrative.pk)]
    assert narrative.text.startswith("Mend the import\n\n")
    assert "We decided to keep the newer row" in narrative.text
    assert "secrets" not in narrative.text
    assert (narrative.trust, narrative.state, narrative.confidence) == ("agent", "active", 0.5)
    links = rows(MemoryLink, relation="derived_from")
    assert {str(one.target_id) for one in links} == set(episodes)
    assert all(row.consolidated and row.state == "active" for row in of(rows, episodes).values())
    # What was told is not told again.
    assert made(admin_key.post("/consolidations"))["outcome"] == "nothing"
    (change, *_) = rows(Revision, object_id=episodes[0], action="consolidate")
    assert change.actor_id == run["id"]


def test_a_dry_run_changes_nothing(workspace, admin_key, episodes, rows):
    plan = made(admin_key.post("/consolidations", {"dry_run": True, "hide": True}))["plan"]
    assert plan == {"read": 3, "would_make": 1, "would_hide": 2, "of": 6}
    assert rows(ConsolidationRun) == []


def test_a_day_without_a_session_is_told_per_project(workspace, rows):
    with workspace_scope(workspace.id):
        at = clock.now() - timedelta(days=2)
        for text in TOLD:
            make_memory(text, kind="occurrence", recorded_at=at)
        for text in TOLD:
            make_memory(f"Today: {text}", kind="occurrence")
        consolidation.begin(actor=ALICE)
    consolidation.work(workspace.id)
    (narrative,) = rows(Memory, method="consolidated")
    assert narrative.data["day"] in narrative.text
    assert sum(row.consolidated for row in rows(Memory)) == 3


def test_it_is_unlearned_and_brought_back_by_a_key(workspace, admin_key, episodes, rows):
    """What its narrative told is in use again, though no agent may release it by hand."""

    def now():
        return {pk: (row.state, row.consolidated) for pk, row in of(rows, episodes).items()}

    settle(workspace, most_share=1)
    before = now()
    run = begun(admin_key, workspace, hide=True)
    told = now()
    (narrative,) = rows(Memory, method="consolidated")
    eraser = caller(workspace, agent="steward", scopes=["erase", "memories:write"])
    unit = made(eraser.post("/unlearnings", {"kind": "run", "target_id": run["id"]}))
    assert unit["preview"]["reverted"] == {"memory": 3}
    path = f"/unlearnings/{unit['id']}"
    made(eraser.call("POST", f"{path}/run", if_match="*"))
    assert now() == before
    assert rows(Memory, pk=narrative.pk)[0].state == "archived"
    made(eraser.call("POST", f"{path}/undo", if_match="*"))
    assert now() == told
    assert rows(Memory, pk=narrative.pk)[0].state == "active"
    hidden = next(pk for pk, (state, _) in told.items() if state == "archived")
    answer = eraser.patch(f"/memories/{hidden}", {"state": "active"}, if_match="*")
    assert problem(answer, 403)["code"] == "put_away"


def test_it_is_taken_back_as_a_whole(workspace, admin_key, episodes, rows):
    before = {pk: (row.state, row.consolidated) for pk, row in of(rows, episodes).items()}
    settle(workspace, most_share=1)
    run = begun(admin_key, workspace, hide=True)
    hidden = [row for row in of(rows, episodes).values() if row.state == "archived"]
    # What a person vouched for stays in use.
    assert len(hidden) == 2
    back = made(admin_key.post(f"/consolidations/{run['id']}/revert"))
    assert (back["state"], back["reverted"]) == (
        "reverted",
        {"removed": 1, "reverted": 3, "kept": []},
    )
    assert {p: (r.state, r.consolidated) for p, r in of(rows, episodes).items()} == before
    assert rows(Memory, method="consolidated") == []
    assert rows(MemoryLink) == []
    answer = admin_key.post(f"/consolidations/{run['id']}/revert")
    assert problem(answer, 409)["code"] == "not_done"
    # Not again by night; whoever asks for it has it.
    settle(workspace, enabled=True)
    begin_consolidations(0)
    assert len(rows(ConsolidationRun)) == 1
    assert made(admin_key.post("/consolidations"))["outcome"] == "begun"


def test_a_narrative_that_somebody_changed_stays(workspace, admin_key, episodes, rows):
    run = begun(admin_key, workspace)
    (narrative,) = rows(Memory, method="consolidated")
    with workspace_scope(workspace.id):
        update_memory(actor=ALICE, memory_id=narrative.pk, changes={"tags": ["import"]})
    back = made(admin_key.post(f"/consolidations/{run['id']}/revert"))["reverted"]
    assert back["kept"] == [{"id": str(narrative.pk), "why": "it was changed since"}]
    assert not any(row.consolidated for row in of(rows, episodes).values())


def test_what_would_hide_too_much_waits_for_a_person(workspace, admin_key, episodes, rows):
    settle(workspace, hide=True, most_share=0.2)
    answer = made(admin_key.post("/consolidations"))
    assert answer["outcome"] == "held"
    assert "2 of 6 memories" in answer["run"]["held"]
    consolidation.work(workspace.id)
    assert rows(Memory, method="consolidated") == []
    with workspace_scope(workspace.id):
        (item,) = [one for one in needs_attention().items if one.kind == "consolidation"]
        assert item.reason == answer["run"]["held"]
        consolidation.release(actor=ALICE, run_id=item.id)
    consolidation.work(workspace.id)
    assert len(rows(Memory, state="archived")) == 2


def test_a_run_that_died_goes_on_and_writes_all_or_nothing(
    workspace, admin_key, episodes, rows, monkeypatch
):
    made(admin_key.post("/consolidations"))

    def dies(*args, **kwargs):
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(writing, "_mark", dies)
        with pytest.raises(RuntimeError):
            consolidation.work(workspace.id)
    assert rows(Memory, method="consolidated") == []
    (run,) = rows(ConsolidationRun)
    assert (run.state, "draft" in run.groups[0]) == ("running", True)
    with monkeypatch.context() as patched:
        # The draft is there: nothing is thought of twice.
        patched.setattr(working, "draft_of", dies)
        consolidation.work(workspace.id)
    assert len(rows(Memory, method="consolidated")) == 1


def test_what_changed_meanwhile_is_not_told(workspace, admin_key, episodes, rows):
    made(admin_key.post("/consolidations"))
    with workspace_scope(workspace.id):
        update_memory(actor=ALICE, memory_id=episodes[0], changes={"text": "It is all different"})
    consolidation.work(workspace.id)
    (run,) = rows(ConsolidationRun)
    assert (run.state, run.made) == ("done", 0)


def test_what_is_changed_while_it_is_told_is_not_told(workspace, admin_key, rows, monkeypatch):
    """The words that were read before stand in the draft."""
    with workspace_scope(workspace.id):
        session = make_session()
        told = [
            make_memory(f"The {what} is red.", kind="observation", session_id=session.id)
            for what in ("rose", "wine", "brick", "fox")
        ]
        end_session(actor=ALICE, session_id=session.id)
    made(admin_key.post("/consolidations"))
    drafting, drafts = working.draft_of, []

    def drafted(*args):
        draft = drafting(*args)
        if not drafts:
            with workspace_scope(workspace.id):
                delete_memory(actor=ALICE, memory_id=told[3].pk)
        drafts.append(draft)
        return draft

    monkeypatch.setattr(working, "draft_of", drafted)
    consolidation.work(workspace.id)
    (narrative,) = rows(Memory, method="consolidated")
    assert ("rose" in narrative.text, "fox" in narrative.text, len(drafts)) == (True, False, 2)


def test_it_is_off_until_the_workspace_wants_it(workspace, episodes, rows):
    from memory.tasks_consolidation import begin_consolidations

    begin_consolidations(0)
    assert rows(ConsolidationRun) == []
    settle(workspace, enabled=True)
    begin_consolidations(0)
    assert len(rows(ConsolidationRun)) == 1


def test_the_command_does_it_and_takes_it_back(workspace, episodes, rows):
    said = StringIO()
    call_command("consolidate", workspace=workspace.slug, stdout=said)
    (run,) = rows(ConsolidationRun)
    assert '"made": 1' in said.getvalue()
    call_command("consolidate", workspace=workspace.slug, revert=str(run.pk), stdout=said)
    assert rows(Memory, method="consolidated") == []
