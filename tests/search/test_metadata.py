"""Conditions on metadata: every kind of row, every operator, alike in both legs, nothing lost."""

from datetime import UTC, datetime

import pytest

from config.lib.scope import workspace_scope
from contacts.services.contacts import create_contact, update_contact
from memory.models import Passage
from memory.search import metadata
from memory.search.filters import Filter
from memory.search.lexical import Words, find
from memory.search.metadata import Condition, searchable
from memory.services.memories import update_memory
from memory.services.passages import reindex_workspace
from sessions.services.events import NewEvent, append_events
from sessions.services.projects import create_project, update_project
from sessions.services.sessions import update_session
from sessions.services.tasks import create_task, update_task
from sessions.services.threads import NewMessage, append_messages
from tests.api.caller import caller, made, wrong_fields
from tests.factories import ALICE, make_memory, make_session, make_thread
from tests.search.asking import ask, ask_fully, embed_all, texts

MODES = ("lexical", "semantic", "hybrid")


def found(workspace, **fields) -> set[str]:
    """The last words of what is found, which must be the same however it is looked for."""
    each = [
        {text.split()[-1] for text in texts(ask_fully(workspace, "water", mode=mode, **fields))}
        for mode in MODES
    ]
    each.append({text.split()[-1] for text in texts(ask_fully(workspace, "", **fields))})
    assert each[0] == each[1] == each[2] == each[3]
    return each[0]


def test_every_kind_of_row_is_filtered_by_what_it_says_of_itself(workspace, embedder):
    own = {"env": "prod"}
    with workspace_scope(workspace.id):
        session = make_session(name="water session", metadata=own)
        thread = make_thread(session)
        said = [
            NewMessage(role="user", content="water message", metadata=own),
            NewMessage(role="user", content="water unsaid"),
        ]
        append_messages(actor=ALICE, thread_id=thread.id, messages=said)
        happened = [NewEvent("note", text="water event", data=own), NewEvent("note", text="water")]
        append_events(actor=ALICE, session_id=session.id, events=happened)
        project = create_project(actor=ALICE, title="water project", metadata=own)
        task, _ = create_task(actor=ALICE, title="water task", project_id=project.id, metadata=own)
        contact = create_contact(actor=ALICE, fields={"name": "water contact", "metadata": own})
        memory = make_memory("water memory", metadata=own)
        make_memory("water other", metadata={"env": "staging"})
    embed_all(workspace)
    everything = {"session", "message", "event", "project", "task", "contact", "memory"}
    assert found(workspace, metadata=own) == everything
    embedder.batches.clear()
    with workspace_scope(workspace.id):
        change = {"changes": {"metadata": {"env": "test"}}, "actor": ALICE}
        update_session(session_id=session.id, **change)
        update_project(project_id=project.id, **change)
        update_task(task_id=task.id, **change)
        update_contact(contact_id=contact.id, **change)
        update_memory(memory_id=memory.id, **change)
    assert found(workspace, metadata=own) == {"message", "event"}
    assert found(workspace, metadata={"env": "test"}) == everything - {"message", "event"}
    embed_all(workspace)
    assert not any(embedder.batches)


def test_a_row_that_was_indexed_before_gets_its_copy_when_the_index_is_made_anew(workspace):
    with workspace_scope(workspace.id):
        make_memory("water one", metadata={"env": "prod"})
        session = make_session()
        events = [NewEvent("note", text="water two", data={"env": "prod"})]
        append_events(actor=ALICE, session_id=session.id, events=events)
        Passage.objects.update(metadata={}, recorded_at=None)
        assert texts(ask("water", metadata={"env": "prod"})) == []
    reindex_workspace(workspace.id)
    with workspace_scope(workspace.id):
        assert len(texts(ask("water", metadata={"env": "prod"}))) == 2


VALUES = {
    "A12": "A-12", "empty": "", "z": "z", "umlaut": "é", "three": 3, "threedot": 3.0, "ten": 10,
    "minus": -1.5, "huge": 10**30, "yes": True, "no": False, "day": "2026-01-02",
    "evening": "2026-01-01T23:30:00-01:00", "february": "2026-02-01T00:00:00Z",
    "almost": "2026-13-01", "null": None, "list": ["A-12", 3, True], "nolist": [],
    "object": {"deep": 3}, "long": "x" * 500, "many": list(range(200)),
}  # fmt: skip
OPERANDS = ["A-12", "", "b", "é", 3, 3.5, 10**30, True, "2026-01-02", "2026-01-02T00:30:00Z"]


def _time(value):
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def _same(one, other):
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _holds(value, op, operand) -> bool:
    """What an operator means, said again without any SQL."""
    if op == "exists":
        return (value is not None) == operand
    if op in ("ne", "not_in"):
        return not _holds(value, {"ne": "eq", "not_in": "in"}[op], operand)
    if op == "eq":
        return not isinstance(value, (list, dict)) and _same(value, operand)
    if op == "in":
        return any(_holds(value, "eq", one) for one in operand)
    if op == "contains":
        short = isinstance(value, list) and len(value) <= 50
        return short and all(any(_same(one, o) for one in value) for o in operand)
    if isinstance(value, bool) or value is None or isinstance(value, (list, dict)):
        return False
    if isinstance(value, str) and len(value) > 200:
        return False
    if _time(operand) is not None:
        value, operand = _time(value), _time(operand)
        if value is None:
            return False
    elif isinstance(value, str) != isinstance(operand, str):
        return False
    return {
        "gt": lambda: value > operand, "gte": lambda: value >= operand,
        "lt": lambda: value < operand, "lte": lambda: value <= operand,
    }[op]()  # fmt: skip


CONDITIONS = [
    *((op, operand) for op in ("eq", "ne") for operand in OPERANDS),
    *((op, o) for op in ("gt", "gte", "lt", "lte") for o in OPERANDS if o is not True),
    *((op, OPERANDS[:n]) for op in ("in", "not_in", "contains") for n in (1, 5, len(OPERANDS))),
    ("contains", ["A-12", 3]), ("contains", [3.0]), ("exists", True), ("exists", False),
]  # fmt: skip


def test_every_operator_means_the_same_in_both_legs_and_here(workspace, embedder):
    with workspace_scope(workspace.id):
        for name, value in VALUES.items():
            make_memory(f"water {name}", metadata={"a": {"key": value}})
        make_memory("water absent")
    embed_all(workspace)
    rows = {**VALUES, "absent": None}
    for op, operand in CONDITIONS:
        wanted = {name for name, value in rows.items() if _holds(value, op, operand)}
        for mode in ("lexical", "semantic"):
            answer = ask_fully(
                workspace, "water", mode=mode, limit=100, metadata={"a.key": {op: operand}}
            )
            assert {t.split()[-1] for t in texts(answer)} == wanted, (mode, op, operand)


def test_conditions_are_joined_by_and_paths_name_keys_inside_others(workspace, embedder):
    with workspace_scope(workspace.id):
        build = {"build": {"number": 7, "by": {"host": "ci-1"}}, "closed": None}
        make_memory("water built", metadata={"ticket": "A-12", "priority": 4, **build})
        make_memory("water dotted", metadata={"ticket": "A-12", "priority": 2, "build.number": 7})
        make_memory("water closed", metadata={"ticket": "A-12", "priority": 4, "closed": True})
    embed_all(workspace)
    ticket = {"ticket": "A-12", "priority": {"gte": 3, "lt": 5}}
    assert found(workspace, metadata=ticket) == {"built", "closed"}
    assert found(workspace, metadata={**ticket, "closed": {"exists": False}}) == {"built"}
    assert found(workspace, metadata={"build.number": 7}) == {"built", "dotted"}
    assert found(workspace, metadata={"build.by.host": {"in": ["ci-1", "ci-2"]}}) == {"built"}
    assert found(workspace, metadata={"build": {"exists": True}}) == {"built"}


def test_what_looks_like_sql_is_a_value_like_others(workspace, embedder):
    sly = "'; DROP TABLE memory_passage; -- %s %L {path}\\' \" $body$"
    with workspace_scope(workspace.id):
        make_memory("water sly", metadata={sly.replace(".", ""): {"x": sly}})
        make_memory("water plain", metadata={"x": "y"})
    embed_all(workspace)
    key = sly.replace(".", "")
    for condition in ({"eq": sly}, {"in": [sly]}, {"gte": sly}, {"exists": True}):
        assert found(workspace, metadata={f"{key}.x": condition}) == {"sly"}
    assert found(workspace, metadata={"x": {"gt": sly}}) == {"plain"}


def test_an_operator_that_the_database_does_not_know_lets_nothing_through(scoped):
    make_memory("water")
    words = Words(True, "", ["water"], [1.0], wanted="water")
    from memory.search.corpus import corpus

    unknown = Filter(metadata=[Condition("like", "=x", '"y"')])
    assert find(words, corpus(), Filter(), most=5)
    assert not find(words, corpus(), unknown, most=5)


def test_nothing_of_another_workspace_passes(workspace, other_workspace, embedder):
    for place in (workspace, other_workspace):
        with workspace_scope(place.id):
            make_memory(f"water {place.slug}", metadata={"env": "prod"})
        embed_all(place)
    assert found(workspace, metadata={"env": "prod"}) == {workspace.slug}


def test_neighbours_that_hybrid_search_adds_pass_the_conditions_too(workspace, embedder):
    with workspace_scope(workspace.id):
        said = ["When was the boiler mended?", "On Tuesday, by Ines.", "Thanks a lot."]
        messages = [
            NewMessage(role="user", content=text, metadata={"n": n}) for n, text in enumerate(said)
        ]
        append_messages(actor=ALICE, thread_id=make_thread().id, messages=messages)
    embed_all(workspace)
    every = ask_fully(workspace, "boiler mended")
    assert set(texts(every)) == set(said)
    some = ask_fully(workspace, "boiler mended", metadata={"n": {"ne": 1}})
    assert set(texts(some)) == {said[0], said[2]}


def test_what_is_kept_has_bounds_and_does_not_depend_on_order():
    wide = {f"key{n:03}": "x" * 190 for n in range(40)} | {"z": 1}
    kept = searchable(wide)
    assert sum(len(k) + len(str(v)) for k, v in kept.items()) <= metadata.MOST_KEPT_CHARACTERS + 100
    assert kept["=z"] == 1
    assert searchable(dict(reversed(wide.items()))) == kept
    assert len(searchable({f"k{n}": n for n in range(500)})) == metadata.MOST_PATHS
    deep = {"a": {"b": {"c": {"d": {"e": 1}}}}}
    assert searchable(deep) == {"=a": {}, "=a.b": {}, "=a.b.c": {}, "=a.b.c.d": {}}
    assert searchable({"": 1, "a..b": 1, "x" * 300: 1, "n": None, "inf": float("inf")}) == {
        "=inf": {}
    }
    assert searchable(["not", "an", "object"]) == {}


BAD = [
    ({"a": {"like": "x%"}}, "metadata.a.like"),
    ({"a": {"$gt": 1}}, "metadata.a.$gt"),
    ({"a": {"b": 1}}, "metadata.a.b"),
    ({"a": {}}, "metadata.a"),
    ({"a": None}, "metadata.a"),
    ({"a": ["x"]}, "metadata.a"),
    ({"a": {"eq": None}}, "metadata.a.eq"),
    ({"a": {"eq": ["x"]}}, "metadata.a.eq"),
    ({"a": {"in": "x"}}, "metadata.a.in"),
    ({"a": {"in": []}}, "metadata.a.in"),
    ({"a": {"in": ["x", {}]}}, "metadata.a.in[1]"),
    ({"a": {"not_in": list(range(101))}}, "metadata.a.not_in"),
    ({"a": {"contains": {}}}, "metadata.a.contains[0]"),
    ({"a": {"exists": "yes"}}, "metadata.a.exists"),
    ({"a": {"gt": True}}, "metadata.a.gt"),
    ({"a": {"gt": None}}, "metadata.a.gt"),
    ({"a": "x" * 201}, "metadata.a"),
    ({"a": "nul\x00"}, "metadata.a"),
    ({"a\x00": "x"}, "metadata"),
    ({"": "x"}, "metadata."),
    ({"a..b": "x"}, "metadata.a..b"),
    ({"a.b.c.d.e": "x"}, "metadata.a.b.c.d.e"),
    ({"x" * 201: 1}, f"metadata.{'x' * 40}"),
    ({f"k{n}": n for n in range(21)}, "metadata"),
    ({"k": dict.fromkeys(("eq", "ne", "gt"), 1)} | {f"k{n}": 1 for n in range(18)}, "metadata"),
    (["a"], "metadata"),
    ("a = 1", "metadata"),
]


@pytest.mark.parametrize(("asked", "field"), BAD)
def test_what_cannot_be_asked_is_refused_by_name(workspace, embedder, asked, field):
    answer = caller(workspace).post("/search", {"q": "water", "metadata": asked})
    assert list(wrong_fields(answer)) == [field.rstrip(".") if field == "metadata." else field]


def test_over_the_api_conditions_alone_are_a_search_and_are_kept(workspace, embedder):
    api = caller(workspace)
    row = made(api.post("/memories", {"text": "The pump leaks.", "metadata": {"ticket": "A-12"}}))
    made(api.post("/memories", {"text": "The pump is new.", "metadata": {"ticket": "A-13"}}))
    answer = made(api.post("/search", {"metadata": {"ticket": "A-12"}}))
    assert [hit["id"] for hit in answer["hits"]] == [row["id"]]
    again = made(api.post(f"/searches/{answer['receipt_id']}/replay"))
    assert [hit["id"] for hit in again["answer"]["hits"]] == [row["id"]]
