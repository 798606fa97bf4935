"""One memory takes another's place and gives it back; contradictions are found and decided."""

import pytest

from benchmarks.contradictions import measure
from config.lib import clock
from config.lib.errors import Conflict
from config.lib.scope import workspace_scope
from memory import tasks
from memory.models import Memory, MemoryLink
from memory.selectors_review import ReviewFilter, Why, review_queue
from memory.services import contradictions
from memory.services.contradictions import (
    Decision,
    decide_contradiction,
    link_found,
    reopen_contradiction,
)
from memory.services.duplicates import propose
from tests.api.caller import caller, made, problem
from tests.factories import ALICE, make_memory


@pytest.fixture(autouse=True)
def _by_words(settings):
    settings.EMBEDDING_PROVIDER = "none"


def remember(api, text, **fields):
    return made(api.post("/memories", {"text": text, "kind": "fact", **fields}))["id"]


def found(api, q, **fields):
    body = {"q": q, "mode": "lexical", "kinds": ["memory"], **fields}
    return {hit["id"] for hit in made(api.post("/search", body))["hits"]}


def supersede(api, new, old):
    return api.post(f"/memories/{new}/links", {"target_id": old, "relation": "supersedes"})


def links_of(workspace, **wanted):
    with workspace_scope(workspace.id):
        return list(MemoryLink.objects.filter(**wanted).select_related("source", "target"))


# --- Superseding --------------------------------------------------------------------------------


def test_a_link_supersedes_and_the_old_answer_is_found_as_of_before(api):
    old = remember(api, "The pump listens on port 8080")
    before = clock.now()
    new = remember(api, "The pump listens on port 9090")
    assert supersede(api, new, old).status_code == 201
    assert found(api, "pump port") == {new}
    assert found(api, "pump port", as_of=before.isoformat()) == {old}
    assert found(api, "pump port", as_of=clock.now().isoformat()) == {new}
    row = made(api.get(f"/memories/{old}"))
    assert (row["state"], row["superseded_by_id"]) == ("superseded", new)
    assert row["valid_to"] == made(api.get(f"/memories/{new}"))["recorded_at"]
    # Said again, it is as it is.
    assert supersede(api, new, old).status_code == 200
    problem(supersede(api, old, new), 409)


def test_the_chain_stays_and_what_stood_around_moves(api, workspace):
    child, friend, proof = (remember(api, text) for text in ("Child", "Friend", "Proof"))
    one, two, three = (remember(api, f"Version {n} of it") for n in (1, 2, 3))
    for source, target, relation in (
        (child, one, "parent"),
        (one, friend, "related"),
        (proof, one, "supports"),
    ):
        made(api.post(f"/memories/{source}/links", {"target_id": target, "relation": relation}))
    made(supersede(api, two, one))
    last = made(supersede(api, three, two))
    held = {(str(row.source_id), row.relation, str(row.target_id)) for row in links_of(workspace)}
    assert held == {
        (child, "parent", three),
        (three, "related", friend),
        (proof, "supports", one),
        (two, "supersedes", one),
        (three, "supersedes", two),
    }
    # Without the link the one before is in use again, with what stood around it.
    assert api.delete(f"/memories/{three}/links/{last['id']}").status_code == 204
    assert made(api.get(f"/memories/{two}"))["state"] == "active"
    assert made(api.get(f"/memories/{two}"))["valid_to"] is None
    assert made(api.get(f"/memories/{one}"))["state"] == "superseded"
    held = {str(row.target_id) for row in links_of(workspace, relation="parent")}
    assert held == {two}


def test_an_agent_replaces_nothing_that_is_trusted_more(api, workspace):
    with workspace_scope(workspace.id):
        vouched = make_memory("The pump is blue", trust="verified")
        known = make_memory("The pump is in the shed", trust="agent")
        read = make_memory("The pump is in the cellar", trust="external")
    mine = remember(api, "The pump is red")
    assert problem(supersede(api, mine, vouched.pk), 403)["code"] == "trusted_by_person"
    assert problem(supersede(api, read.pk, known.pk), 403)["code"] == "trust_ceiling"
    waiting = remember(api, "The pump is gone", state="quarantined")
    assert problem(supersede(api, waiting, known.pk), 409)["code"] == "not_active"


# --- Contradictions -----------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["dev", "test"])
def test_what_the_rules_find_is_what_contradicts(part):
    got = measure(part)
    assert got["wrong"] == []
    assert got["recall"] >= 0.9


@pytest.fixture
def contradicted(workspace):
    """(older, newer, link) of memories as the job finds them where there are no vectors."""
    api = caller(workspace)
    old = remember(api, "The staging database runs on PostgreSQL 15")
    remember(api, "The staging database is backed up at night")
    remember(api, "The metrics exporter runs on Alpine 15")
    remember(api, "The staging database runs on PostgreSQL 17", kind="occurrence")
    new = remember(api, "The staging database now runs on PostgreSQL 17")
    tasks.propose_duplicates(str(workspace.id))
    (link,) = links_of(workspace, relation="contradicts")
    return old, new, link


def queue(workspace):
    with workspace_scope(workspace.id):
        waiting = review_queue(ReviewFilter(), Why.CONTRADICTING).entries
        return {str(one.id) for one in waiting}


def decide(workspace, link, decision):
    with workspace_scope(workspace.id):
        return decide_contradiction(actor=ALICE, link_id=link.pk, decision=decision)


def test_a_job_finds_them_and_nothing_leaves_use(api, workspace, contradicted):
    old, new, link = contradicted
    assert (str(link.source_id), str(link.target_id)) == (new, old)
    assert link.metadata == {"rule": "changed_value", "vouched": False, "words": ["15", "17"]}
    assert queue(workspace) == {old, new}
    assert {old, new} <= found(api, "staging database")
    (told,) = made(api.get("/memories/contradictions"))["items"]
    assert (told["older"]["id"], told["newer"]["id"]) == (old, new)
    assert (told["rule"], told["words"]) == ("changed_value", ["15", "17"])
    assert propose(workspace.id) == (0, False)


def test_what_another_job_found_at_the_same_moment_is_there_once(
    workspace, contradicted, monkeypatch
):
    """Its link was not committed when this one looked for it."""
    _, _, link = contradicted
    monkeypatch.setattr(contradictions, "know_each_other", lambda one, other: False)
    with workspace_scope(workspace.id):
        assert link_found(link.source, link.target, "changed_value") is None
    assert len(links_of(workspace, relation="contradicts")) == 1


def test_keeping_one_supersedes_the_other_and_is_taken_back(api, workspace, contradicted):
    old, new, link = contradicted
    learned = made(api.get(f"/memories/{old}"))["recorded_at"]
    decide(workspace, link, Decision.KEEP_NEWER)
    assert old not in found(api, "staging database")
    assert old in found(api, "staging database", as_of=learned)
    assert queue(workspace) == set()
    with workspace_scope(workspace.id), pytest.raises(Conflict):
        decide_contradiction(actor=ALICE, link_id=link.pk, decision=Decision.DISMISS)
    with workspace_scope(workspace.id):
        reopen_contradiction(actor=ALICE, link_id=link.pk)
    assert queue(workspace) == {old, new}
    assert made(api.get(f"/memories/{old}"))["superseded_by_id"] is None


@pytest.mark.parametrize("decision", [Decision.KEEP_BOTH, Decision.DISMISS])
def test_what_was_decided_is_remembered(workspace, contradicted, decision):
    _, _, link = contradicted
    decide(workspace, link, decision)
    assert queue(workspace) == set()
    with workspace_scope(workspace.id):
        Memory.objects.update(compared_at=None)
    propose(workspace.id)
    (row,) = links_of(workspace)
    assert row.pk == link.pk
    assert row.relation == ("related" if decision is Decision.DISMISS else "contradicts")


def test_what_people_vouched_for_is_asked_of_them_too(workspace):
    with workspace_scope(workspace.id):
        make_memory("Logs are kept for 14 days", kind="fact", trust="operator")
        newer = make_memory("Logs are kept for 90 days", kind="fact", trust="verified")
    propose(workspace.id)
    assert queue(workspace) == {str(newer.pk)}
