"""The review queue: what waits and why, what is decided of it, one by one and many at once."""

import json
import re

import pytest
from django.urls import reverse

from config.lib.actor import Actor
from config.lib.scope import workspace_scope
from contacts.models import Revision
from contacts.services import funnel
from contacts.services.keys import create_key
from memory.admin import review_count, review_many
from memory.models import Memory, MemoryDuplicate
from memory.models.memory import MODEL_METHOD
from memory.services.contradictions import link_found
from memory.services.lessons import METHOD
from memory.services.memories import NewMemory, create_memory, link_memories, update_memory
from tests.admin.pages import MAX_QUERIES, queries_of
from tests.factories import ALICE, make_agent, make_memory, make_session

QUEUE = "/admin/review/"
HOSTILE = "<script>window.hit=1</script>"


def page(client, query="") -> str:
    answer = client.get(f"{QUEUE}{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def listed(client, query="") -> list[str]:
    """The titles of the queue's list, in order."""
    found = re.findall(r'<span class="rm-queue-title">(.*?)</span>', page(client, query))
    return [text.strip() for text in found]


def quarantined(workspace, *texts, **fields) -> list[Memory]:
    with workspace_scope(workspace.id):
        return [make_memory(text, **{"state": "quarantined", **fields}) for text in texts]


def decide(client, memory, action, *, query="", **sent):
    sent.setdefault("_version", str(memory.version))
    address = reverse("admin:review_decide", args=[memory.pk])
    return client.post(f"{address}{query}", {"action": action, **sent})


def back(client):
    return client.post(reverse("admin:review_back"))


def now(workspace, memory) -> Memory:
    with workspace_scope(workspace.id):
        return Memory.objects.get(pk=memory.pk)


def is_(workspace, memory) -> tuple[str, str, str]:
    row = now(workspace, memory)
    return row.text, row.state, row.trust


# --- What waits -------------------------------------------------------------------------------


@pytest.fixture
def waiting(workspace) -> dict[str, Memory]:
    """One of each reason, and what waits for nobody."""
    with workspace_scope(workspace.id):
        agent = make_agent()
        session = make_session(agent=agent, name="Fix the pump")
        of = {"agent_id": agent.id, "session_id": session.id, "trust": "agent"}
        told = {"extraction": {"rule": "fixed", "failures": 3}}
        found = {
            "fixed": make_memory("Fixed so", state="quarantined", method=f"{METHOD}fixed",
                                 data=told, **of),
            "proposed": make_memory("Proposed so", state="quarantined", trust="external",
                                    method=f"{MODEL_METHOD}qwen3:8b"),
            "one": make_memory("Deploy on Fridays", **of),
            "other": make_memory("Never deploy on Fridays", trust="verified"),
            "unsure": make_memory("Perhaps the moon", confidence=0.2, **of),
            "vouched": make_memory("Hardly, but I say so", confidence=0.2, trust="operator"),
            "sure": make_memory("Certain", **of),
            "archived": make_memory("Gone", state="archived", confidence=0.1),
        }  # fmt: skip
        link_memories(
            actor=ALICE,
            source_id=found["one"].id,
            target_id=found["other"].id,
            relation="contradicts",
        )
    return found


def test_each_waits_for_its_reason_and_the_longest_first(vera, waiting):
    assert listed(vera) == ["Fixed so", "Proposed so", "Deploy on Fridays", "Perhaps the moon"]
    for why, text in (
        ("quarantined", "Fixed so"),
        ("proposed", "Proposed so"),
        ("contradicting", "Deploy on Fridays"),
        ("unsure", "Perhaps the moon"),
    ):
        assert listed(vera, f"?why={why}") == [text]


def test_the_reason_says_the_rule_and_its_figure(vera, waiting):
    first = page(vera)
    assert "Rule fixed" in first
    assert "failed 3 times" in first
    assert "qwen3:8b" in page(vera, "?why=proposed")
    against = page(vera, "?why=contradicting")
    assert "which a person has vouched for" in against
    assert "Never deploy on Fridays" in against
    unsure = page(vera, "?why=unsure")
    assert "20%" in unsure
    assert "below 30%" in unsure


def test_what_a_person_put_there_says_who_and_why(vera, workspace):
    with workspace_scope(workspace.id):
        memory = make_memory("Deploy at night")
        update_memory(
            actor=ALICE, memory_id=memory.pk, changes={"state": "quarantined"}, reason="says who?"
        )
    shown = page(vera)
    assert "alice put it there" in shown
    assert "says who?" in shown


def test_the_sidebar_counts_what_waits_and_stops_counting(alice, workspace, waiting):
    badge = '<span class="rm-badge rm-amber rm-nav-count">4</span>'
    assert badge in alice.get("/admin/").content.decode()
    assert badge in page(alice)
    quarantined(workspace, *(f"Waits {n}" for n in range(96)))
    # Other processes count anew after some seconds; here the queue's own page has just counted.
    review_count._counted.clear()
    assert ">99+</span>" in alice.get("/admin/").content.decode()


def test_nothing_waiting_shows_no_number(alice):
    shown = page(alice)
    assert "Nothing to review" in shown
    assert "rm-nav-count" not in shown


def test_the_queue_is_narrowed(vera, workspace):
    with workspace_scope(workspace.id):
        agent = make_agent()
        key, _ = create_key(actor=ALICE, agent=agent, name="nightly")
        keyed = Actor("key", str(key.id), "nightly", "api", agent_id=agent.id)
        session = make_session(agent=agent)
        by_key, _ = create_memory(
            actor=keyed,
            new=NewMemory(text="By key", fields={"state": "quarantined", "kind": "fact"}),
        )
        make_memory("In session", state="quarantined", session_id=session.id)
        make_memory("By method", state="quarantined", method="read by hand")
        make_memory("By source", state="quarantined", source="import")
    for query, text in (
        (f"key={key.id}", "By key"),
        (f"agent={agent.id}", "By key"),
        ("kind=fact", "By key"),
        (f"session={session.id}", "In session"),
        ("source=read+by+hand", "By method"),
        ("source=import", "By source"),
    ):
        assert listed(vera, f"?{query}") == [text], query
    assert "Saved by key nightly" in page(vera, f"?key={key.id}")
    assert f"?key={key.id}" in page(vera, f"?at={by_key.pk}")


@pytest.mark.parametrize("query", ["at=nonsense", "agent=%00", "why=boredom", "kind=x", "key=1",
                                   "session=\u0000", "source=%27%22"])  # fmt: skip
def test_a_wrong_address_is_no_error(vera, waiting, query):
    assert vera.get(f"{QUEUE}?{query}").status_code == 200


def test_stored_text_is_escaped(vera, workspace):
    quarantined(workspace, HOSTILE, tags=[HOSTILE], method=HOSTILE)
    assert HOSTILE not in page(vera)


def test_the_page_costs_no_more_than_it_may(rita, workspace, waiting):
    with workspace_scope(workspace.id):
        pair = MemoryDuplicate(
            older=waiting["fixed"], newer=waiting["sure"], similarity=0.95, overlap=0.8
        )
        funnel.create(pair, actor=ALICE)
    decide(rita, waiting["proposed"], "approve")
    statements = queries_of(rita, QUEUE)
    assert len(statements) <= MAX_QUERIES, statements
    few = len(statements)
    quarantined(workspace, *(f"Waits {n}" for n in range(40)))
    assert len(queries_of(rita, QUEUE)) == few
    assert all("LIMIT" in s for s in queries_of(rita, QUEUE) if "UNION" in s)


def test_a_longer_queue_is_read_to_its_limit(vera, workspace, monkeypatch):
    monkeypatch.setattr("memory.selectors_review.WINDOW", 5)
    quarantined(workspace, *(f"Waits {n}" for n in range(8)))
    shown = page(vera)
    assert "5+" in shown
    assert listed(vera) == [f"Waits {n}" for n in range(5)]


# --- One by one -------------------------------------------------------------------------------


def test_approving_puts_it_into_use_and_goes_on_to_the_next(rita, workspace):
    first, second = quarantined(workspace, "First", "Second", trust="agent")
    shown = page(rita)
    following = re.search(r'name="next" value="([^"]*)"', shown)
    assert following is not None
    assert following[1] == str(second.pk)
    answer = decide(rita, first, "approve", next=following[1], _reason="I was there")
    assert answer["Location"] == f"{QUEUE}?at={second.pk}"
    assert is_(workspace, first) == ("First", "active", "verified")
    after = page(rita, f"?at={second.pk}")
    assert "Approved" in after
    assert "Take back" in after
    with workspace_scope(workspace.id):
        newest = Revision.objects.filter(object_id=first.pk).latest("id")
    assert (newest.actor_label, newest.channel, newest.reason) == ("rita", "admin", "I was there")


def test_rejecting_archives_it(rita, workspace):
    (first,) = quarantined(workspace, "First")
    decide(rita, first, "reject")
    assert is_(workspace, first)[1] == "archived"
    assert listed(rita) == []


def test_who_vouches_for_what_contradicts_settles_it(rita, waiting):
    decide(rita, waiting["one"], "approve")
    assert listed(rita, "?why=contradicting") == []
    decide(rita, waiting["unsure"], "approve")
    assert listed(rita, "?why=unsure") == []


def test_decisions_are_taken_back_the_last_one_first(rita, workspace):
    first, second = quarantined(workspace, "First", "Second", trust="agent")
    decide(rita, first, "approve")
    decide(rita, second, "reject")
    assert back(rita)["Location"] == f"{QUEUE}?at={second.pk}"
    assert is_(workspace, second)[1] == "quarantined"
    back(rita)
    assert is_(workspace, first) == ("First", "quarantined", "agent")
    answer = rita.post(reverse("admin:review_back"), follow=True).content.decode()
    assert "no decision of yours" in answer


def test_what_was_changed_since_is_not_taken_back(rita, workspace):
    (first,) = quarantined(workspace, "First", trust="agent")
    decide(rita, first, "approve")
    with workspace_scope(workspace.id):
        update_memory(actor=ALICE, memory_id=first.pk, changes={"state": "archived"})
    answer = rita.post(reverse("admin:review_back"), follow=True).content.decode()
    assert "Not taken back" in answer
    assert is_(workspace, first)[1] == "archived"


def test_a_stale_page_decides_nothing(rita, workspace):
    (first,) = quarantined(workspace, "First")
    with workspace_scope(workspace.id):
        update_memory(actor=ALICE, memory_id=first.pk, changes={"text": "Something else"})
    answer = rita.post(
        reverse("admin:review_decide", args=[first.pk]),
        {"action": "approve", "_version": str(first.version)},
        follow=True,
    )
    assert "Somebody changed this memory" in answer.content.decode()
    assert is_(workspace, first)[:2] == ("Something else", "quarantined")


def test_an_operator_edits_in_place(otto, workspace):
    first, second = quarantined(workspace, "First", "Second", trust="agent")
    sent = {"text": "First,\r\nand better", "kind": "fact", "tags": "a\r\n\r\nb", "next": second.pk}
    assert decide(otto, first, "edit", **sent)["Location"] == f"{QUEUE}?at={first.pk}"
    row = now(workspace, first)
    assert (row.text, row.kind, row.tags) == ("First,\nand better", "fact", ["a", "b"])
    assert row.state == "quarantined"
    sent["text"] = "Best"
    answer = decide(otto, row, "edit-approve", **sent)
    assert answer["Location"] == f"{QUEUE}?at={second.pk}"
    assert is_(workspace, first) == ("Best", "active", "verified")
    back(otto)
    assert is_(workspace, first) == ("First,\nand better", "quarantined", "agent")
    back(otto)
    assert is_(workspace, first) == ("First", "quarantined", "agent")


def test_an_edit_that_cannot_be_saved_is_not_lost(otto, workspace):
    (first,) = quarantined(workspace, "First")
    sent = {"text": "Mine", "kind": "fact", "tags": ""}
    with workspace_scope(workspace.id):
        update_memory(actor=ALICE, memory_id=first.pk, changes={"text": "Theirs"})
    answer = decide(otto, first, "edit-approve", **sent)
    assert answer.status_code == 409
    shown = answer.content.decode()
    assert "Theirs" in shown
    assert ">\nMine</textarea>" in shown
    blank = decide(otto, now(workspace, first), "edit", **{**sent, "text": " "})
    assert blank.status_code == 422
    assert is_(workspace, first)[:2] == ("Theirs", "quarantined")


def test_a_near_duplicate_is_merged_and_parted_again(rita, workspace):
    with workspace_scope(workspace.id):
        known = make_memory("Alice likes tabs.")
        new = make_memory("Alice likes tabs a lot.", state="quarantined", trust="agent")
        row = MemoryDuplicate(older=known, newer=new, similarity=0.97, overlap=0.8)
        pair = funnel.create(row, actor=ALICE)
    shown = page(rita)
    assert "97% alike in meaning" in shown
    assert "<ins>" in shown or "<del>" in shown
    decide(rita, new, "keep-older", pair=str(pair.pk))
    assert is_(workspace, new)[1] == "superseded"
    assert now(workspace, new).superseded_by_id == known.pk
    back(rita)
    assert is_(workspace, new) == ("Alice likes tabs a lot.", "quarantined", "agent")
    with workspace_scope(workspace.id):
        assert MemoryDuplicate.objects.get().state == "open"
    decide(rita, new, "keep-newer", pair=str(pair.pk))
    assert is_(workspace, new)[1:] == ("active", "verified")
    assert is_(workspace, known)[1] == "superseded"
    decide(rita, new, "keep-newer", pair=str(pair.pk))
    assert is_(workspace, known)[1] == "superseded"


def test_two_that_are_two_are_not_shown_again(rita, workspace):
    with workspace_scope(workspace.id):
        one, two = make_memory("One", state="quarantined"), make_memory("Two")
        row = MemoryDuplicate(older=one, newer=two, similarity=0.97, overlap=0.8)
        pair = funnel.create(row, actor=ALICE)
    decide(rita, one, "dismiss", pair=str(pair.pk))
    assert "alike in meaning" not in page(rita)


def test_roles(vera, rita, charlie, workspace):
    (first,) = quarantined(workspace, "First")
    assert "review_decide" not in page(vera)
    assert 'value="approve"' not in page(vera)
    assert 'value="approve"' in page(rita)
    assert 'value="edit"' not in page(rita)
    assert decide(vera, first, "approve").status_code == 403
    assert decide(rita, first, "edit", text="Mine", kind="fact", tags="").status_code == 403
    assert listed(charlie) == []
    decide(charlie, first, "approve")
    assert is_(workspace, first)[:2] == ("First", "quarantined")
    assert back(vera).status_code == 403
    assert rita.get(reverse("admin:review_decide", args=[first.pk])).status_code == 405
    assert decide(rita, first, "erase").status_code == 404


# --- Many at once -----------------------------------------------------------------------------


def preview(client, action, query):
    answer = client.get(f"/admin/review/many/?action={action}&{query}")
    assert answer.status_code == 200
    shown = answer.content.decode()
    ids = re.search(r'name="ids" value="([^"]*)"', shown)
    assert ids is not None
    return shown, ids[1]


def test_many_are_decided_as_they_were_shown(rita, workspace):
    mine = quarantined(workspace, "One", "Two", "Three", method="read by hand", trust="agent")
    (other,) = quarantined(workspace, "Other")
    shown, ids = preview(rita, "approve", "source=read+by+hand")
    assert "Approve 3 memories" in shown
    assert "Other" not in re.findall(r'rm-row-title">(.*?)<', shown)
    with workspace_scope(workspace.id):
        update_memory(actor=ALICE, memory_id=mine[0].pk, changes={"text": "One, changed"})
    late = quarantined(workspace, "Late", method="read by hand")
    answer = rita.post(
        "/admin/review/many/?action=approve&source=read+by+hand",
        {"ids": ids, "_reason": "all seen"},
        follow=True,
    )
    assert "1 were changed meanwhile" in answer.content.decode()
    assert [is_(workspace, row)[1] for row in (*mine, other, *late)] == [
        "quarantined", "active", "active", "quarantined", "quarantined",
    ]  # fmt: skip
    with workspace_scope(workspace.id):
        newest = Revision.objects.filter(object_id=mine[1].pk).latest("id")
    assert (newest.reason, newest.actor_label) == ("all seen", "rita")
    back(rita)
    assert [is_(workspace, row)[1:] for row in mine[1:]] == [("quarantined", "agent")] * 2


def test_many_are_rejected_by_session_and_bounded(rita, workspace, monkeypatch):
    monkeypatch.setattr(review_many, "MOST_AT_ONCE", 2)
    with workspace_scope(workspace.id):
        session = make_session()
    mine = quarantined(workspace, "One", "Two", "Three", session_id=session.id)
    shown, ids = preview(rita, "reject", f"session={session.id}")
    assert "Reject 2 memories" in shown
    assert "come back for the others" in shown
    many = f"/admin/review/many/?action=reject&session={session.id}"
    rita.post(many, {"ids": ids})
    states = [is_(workspace, row)[1] for row in mine]
    assert states == ["archived", "archived", "quarantined"]
    everything = " ".join(f"{row.pk}:1" for row in mine)
    assert rita.post(many, {"ids": everything}).status_code == 422


def test_many_needs_a_filter_and_a_reviewer(rita, vera, workspace):
    quarantined(workspace, "One")
    assert rita.get("/admin/review/many/?action=approve").status_code == 302
    assert rita.get("/admin/review/many/?action=approve&kind=fact").status_code == 302
    assert vera.get("/admin/review/many/?action=approve&source=x").status_code == 403
    assert rita.get("/admin/review/many/?action=erase&source=x").status_code == 404


def test_what_is_remembered_holds_no_stored_text(rita, workspace):
    (first,) = quarantined(workspace, "A secret of the garden")
    decide(rita, first, "approve")
    assert "secret" not in json.dumps(dict(rita.session.items()))


# --- Contradictions ---------------------------------------------------------------------------


def test_a_contradiction_is_decided_here_and_taken_back(workspace, rita):
    with workspace_scope(workspace.id):
        old = make_memory("Logs are kept for 14 days", kind="fact", trust="agent")
        new = make_memory("Logs are kept for 90 days", kind="fact", trust="agent")
        link = link_found(new, old, "changed_value", words=["14", "90"])
    text = page(rita, f"?at={new.pk}")
    assert "They differ in one value. “14”, then “90”." in text
    assert "What is under review holds" in text
    decide(rita, new, "against-newer", link=str(link.pk), _reason="Asked the operators")
    assert "Stays in use, in place of what it contradicts<" in page(rita)
    assert now(workspace, old).superseded_by_id == new.pk
    assert listed(rita) == []
    with workspace_scope(workspace.id):
        said = Revision.objects.get(object_id=old.pk, action="supersede")
    assert said.reason == "Asked the operators"
    # By its history, whoever decided, however long ago.
    rita.post(reverse("admin:contacts_revision_undo", args=[said.pk]))
    assert now(workspace, old).state == "active"
    assert len(listed(rita)) == 2
    decide(rita, old, "against-newer", link=str(link.pk))
    assert "Superseded by what it contradicts<" in page(rita)
    back(rita)
    decide(rita, old, "against-none", link=str(link.pk))
    assert listed(rita) == []
