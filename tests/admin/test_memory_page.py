"""A memory's page for reading: evidence in place, when it holds, and the graph around it."""

from datetime import timedelta
from itertools import combinations, pairwise

import pytest
from django.urls import reverse

from config.lib import clock
from config.lib.scope import workspace_scope
from contacts.services import funnel
from memory.admin.evidence import excerpt
from memory.admin.graph import MOST_IN_COLUMN, MOST_NODES, Graph, graph_of
from memory.admin.validity import line_of
from memory.models import Memory, MemoryDuplicate
from memory.search.funnel import search
from memory.search.schemas import SearchQuery
from memory.services.memories import NewEvidence, NewMemory, create_memory, link_memories
from memory.services.receipts import give_feedback, keep
from sessions.services.threads import NewMessage, append_messages
from tests.admin.pages import MAX_QUERIES, queries_of, url
from tests.factories import ALICE, make_memory, make_session, make_thread

HOSTILE = '<script>window.hit=1</script><img src="//evil.example/x.png">'


def touch(one, two) -> bool:
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]


def read(client, memory) -> str:
    answer = client.get(url(Memory, "read", memory.pk))
    assert answer.status_code == 200
    return answer.content.decode()


def link(source, target, relation):
    link_memories(actor=ALICE, source_id=source.pk, target_id=target.pk, relation=relation)


def drawn(memory) -> Graph:
    return graph_of(memory.pk, memory.text, memory.kind, memory.state)


@pytest.fixture
def rested(workspace):
    """A memory that rests on words in the middle of a message between two others."""
    with workspace_scope(workspace.id):
        thread = make_thread(make_session(name="Fix the pump"), name="main")
        said, _ = append_messages(
            actor=ALICE,
            thread_id=thread.id,
            messages=[
                NewMessage(role="assistant", content="Shall I freeze the clock?"),
                NewMessage(role="user", content=f"No. Always pass UTC in, {HOSTILE} and go on."),
                NewMessage(role="assistant", content="Done so."),
            ],
        )
        memory, _ = create_memory(
            actor=ALICE,
            new=NewMemory(
                text=f"Always pass UTC in. {HOSTILE}",
                fields={"tags": ["time"], "affect": {"valence": -0.5, "labels": ["calm"]}},
                evidence=[NewEvidence(message_id=said[1].id, quote="Always pass UTC in")],
            ),
        )
        return memory, said[1]


def test_the_page_shows_the_evidence_in_place(vera, rested):
    memory, message = rested
    page = read(vera, memory)
    assert "<mark>Always pass UTC in</mark>" in page
    assert "<span>No. </span>" in page
    assert "Shall I freeze the clock?" in page
    assert "Done so." in page
    link_to_it = reverse("admin:agent_sessions_thread_conversation", args=[message.thread_id])
    assert f"{link_to_it}?at=1#m-1" in page
    assert "<script>window.hit" not in page
    assert '<img src="//evil' not in page
    assert "-0.50" in page
    assert "calm" in page


def test_words_are_found_with_other_white_space_and_missed_when_they_are_gone():
    found = excerpt("pass it\nin", "You must pass  it in, always.", 0, 29)
    assert (found.before, found.quote, found.after) == ("You must ", "pass  it in", ", always.")
    assert found.stands
    gone = excerpt("never", "You must pass it in.", 0, 20)
    assert not gone.stands
    assert (gone.before, gone.quote) == ("You must pass it in.", "never")


def test_a_long_message_is_cut_around_the_words():
    text = "a" * 1000 + "KEEP" + "b" * 1000
    found = excerpt("KEEP", text[600:1404], 1001, len(text))
    assert (len(found.before), found.quote, len(found.after)) == (400, "KEEP", 400)
    assert found.cut_before
    assert found.cut_after


def test_its_times_stand_on_a_line_in_their_order(workspace):
    now = clock.now()
    with workspace_scope(workspace.id):
        memory = make_memory(
            recorded_at=now - timedelta(days=10),
            valid_from=now - timedelta(days=20),
            valid_to=now + timedelta(days=20),
        )
    line = line_of(memory, now)
    assert [mark.name for mark in line.marks] == ["from", "recorded", "now", "to"]
    assert [mark.place for mark in line.marks] == [4.0, 27.0, 50.0, 96.0]
    assert (line.start, line.width, line.open) == (4.0, 92.0, False)
    memory.expires_at = now - timedelta(days=1)
    assert line_of(memory, now).holds == "It does not hold any more."
    memory.valid_from = memory.valid_to = memory.expires_at = None
    assert line_of(memory, now).open


def test_what_came_first_stands_left_of_what_came_of_it(workspace):
    with workspace_scope(workspace.id):
        me, cause, origin, result, against = (
            make_memory(text) for text in ("Me", "Cause", "Origin", "Result", "Against")
        )
        link(me, cause, "cause")
        link(cause, origin, "parent")
        link(result, me, "derived_from")
        link(me, against, "contradicts")
        graph, again = drawn(me), drawn(me)
    columns = {node.title: node.column for node in graph.nodes}
    assert columns == {"Me": 0, "Cause": -1, "Origin": -2, "Result": 1, "Against": 0}
    told = {(edge.first.title, edge.phrase, edge.then.title) for edge in graph.edges}
    assert told == {
        ("Cause", "cause of", "Me"),
        ("Origin", "parent of", "Cause"),
        ("Me", "source of", "Result"),
        ("Me", "contradicts", "Against"),
    }
    x = {node.title: node.x for node in graph.nodes}
    assert x["Origin"] < x["Cause"] < x["Me"] == x["Against"] < x["Result"]
    assert [edge.path for edge in again.edges] == [edge.path for edge in graph.edges]


def test_a_crowded_graph_is_bounded_and_nothing_lies_on_top_of_another(workspace):
    with workspace_scope(workspace.id):
        me = make_memory("Me")
        near = [make_memory(f"Near {n}") for n in range(45)]
        for n, one in enumerate(near):
            ends = (me, one) if n % 2 else (one, me)
            link(*ends, ("cause", "supports", "related")[n % 3])
        for n in range(30):
            link(near[n], make_memory(f"Far {n}"), "parent")
        graph = drawn(me)
    assert len(graph.nodes) <= MOST_NODES
    assert 0 < graph.more <= 75 - len(graph.edges)
    boxes = [
        (e.label_x - 3.1 * len(e.phrase), e.label_y - 7.5, e.label_x + 3.1 * len(e.phrase),
         e.label_y + 7.5)
        for e in graph.edges if e.labelled
    ]  # fmt: skip
    assert len(boxes) > 10
    assert not any(touch(one, two) for one, two in combinations(boxes, 2))
    by_column: dict[int, list[float]] = {}
    for node in graph.nodes:
        by_column.setdefault(node.column, []).append(node.y)
    for places in by_column.values():
        assert len(places) <= MOST_IN_COLUMN
        places.sort()
        assert all(b - a >= 54 for a, b in pairwise(places))
    assert max(node.x for node in graph.nodes) + 208 <= graph.width
    assert max(node.y for node in graph.nodes) + 54 <= graph.height


def test_the_page_draws_the_graph_and_says_it_as_a_list(vera, workspace):
    with workspace_scope(workspace.id):
        me, cause = make_memory("Me"), make_memory(f"Because {HOSTILE}")
        link(me, cause, "cause")
    page = read(vera, me)
    address = url(Memory, "read", cause.pk)
    assert page.count(f'href="{address}"') == 2
    assert "cause of" in page
    assert "<script>window.hit" not in page
    assert "No other memory is linked with it" in read(vera, make_lonely(workspace))


def make_lonely(workspace):
    with workspace_scope(workspace.id):
        return make_memory("Alone")


def test_near_duplicates_stand_side_by_side_with_a_way_to_merge(rita, vera, workspace):
    with workspace_scope(workspace.id):
        older, newer = make_memory("Alice likes tabs."), make_memory("Alice likes tabs a lot.")
        row = MemoryDuplicate(older=older, newer=newer, similarity=0.97, overlap=0.8)
        pair = funnel.create(row, actor=ALICE)
    merge = url(MemoryDuplicate, "do", pair.pk, "keep-newer")
    assert merge in read(rita, older)
    shown = read(vera, older)
    assert merge not in shown
    assert "97% alike in meaning" in shown
    rita.post(merge)
    assert "Replaced by" in read(vera, older)


def test_feedback_given_in_searches_stands_on_the_page(vera, workspace):

    with workspace_scope(workspace.id):
        memory = make_memory("The pump starts at noon.")
        asked = SearchQuery(q="pump", mode="lexical")
        kept = keep(query=asked, answer=search(query=asked), took_ms=1.0, actor=ALICE)
        give_feedback(
            actor=ALICE, receipt=str(kept), hit_id=str(memory.pk), verdict="outdated", note="at two"
        )
    page = read(vera, memory)
    assert "outdated" in page
    assert "at two" in page


def test_the_page_costs_no_more_than_it_may(alice, rows):
    memory = rows[Memory]
    for page in ("read", "change"):
        statements = queries_of(alice, url(Memory, page, memory.pk))
        assert len(statements) <= MAX_QUERIES, statements


def test_lists_and_links_lead_to_the_page_for_reading(alice, rows):
    memory = rows[Memory]
    address = url(Memory, "read", memory.pk)
    assert f'href="{address}"' in alice.get(url(Memory, "changelist")).content.decode()
    assert url(Memory, "change", memory.pk) in read(alice, memory)
    assert address in alice.get(url(Memory, "change", memory.pk)).content.decode()


def test_who_is_of_another_workspace_reads_nothing(charlie, rows):
    assert charlie.get(url(Memory, "read", rows[Memory].pk)).status_code == 404


@pytest.mark.parametrize(
    ("query", "found"),
    [("tag=time", True), ("tag=tim", False), ("source=extracted by", True),
     ("source=import", False), ("confidence_from=0.9", False), ("kind=fact", True)],
)  # fmt: skip
def test_the_list_is_narrowed(alice, workspace, query, found):
    with workspace_scope(workspace.id):
        make_memory("Pass times in as UTC.", kind="fact", tags=["time"], confidence=0.4,
                    method="extracted by rule remember")  # fmt: skip
    page = alice.get(f"{url(Memory, 'changelist')}?{query}").content.decode()
    assert ("Pass times in as UTC." in page) == found
