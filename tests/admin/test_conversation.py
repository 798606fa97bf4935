"""A thread as it is read: turns, tool calls with their results, subagents, pages."""

import pytest

from config.lib.scope import workspace_scope
from sessions.admin.conversation import PAGE, REACH, beginning, outline, read_page
from sessions.models import Session, Thread
from sessions.services.threads import NewMessage, append_messages
from tests.admin.pages import url
from tests.factories import ALICE, make_session, make_thread


def call(n, name="Bash", **arguments):
    block = {"type": "tool_use", "id": f"c{n}", "name": name, "input": arguments}
    return NewMessage(role="assistant", blocks=[block], metadata={"message_id": "m"})


def result(n, text="done", **fields):
    block = {"type": "tool_result", "tool_use_id": f"c{n}", "content": text, **fields}
    return NewMessage(role="tool", blocks=[block])


def say(text, role="assistant", **fields):
    return NewMessage(role=role, content=text, blocks=[{"type": "text", "text": text}], **fields)


@pytest.fixture
def thread(scoped):
    return make_thread(make_session(name="Pump"), name="main")


def read(thread, messages, start=0):
    append_messages(actor=ALICE, thread_id=thread.id, messages=messages)
    fresh = Thread.objects.get(pk=thread.pk)
    return read_page(fresh, start, [])


def kinds(page):
    return [(turn.role, [part.kind for part in turn.parts]) for turn in page.turns]


def test_what_one_speaker_does_is_one_turn_and_results_are_with_their_calls(thread):
    page = read(
        thread,
        [say("Fix it.", "user"), say("Looking."), call(1, command="ls"), result(1, "a.py"),
         call(2, file_path="a.py"), result(2, "boom", is_error=True), say("Done."),
         say("Thanks.", "user")],
    )  # fmt: skip
    assert kinds(page) == [
        ("user", ["text"]), ("assistant", ["text", "call", "call", "text"]), ("user", ["text"]),
    ]  # fmt: skip
    first, second = (part for part in page.turns[1].parts if part.kind == "call")
    assert (first.title, first.html, first.result.text) == ("Bash", "ls", "a.py")
    assert not first.result.is_error
    assert second.result.is_error


def test_a_call_and_its_result_are_shown_once_across_pages(thread):
    said = [say(f"{n}") for n in range(PAGE - 1)]
    append_messages(
        actor=ALICE, thread_id=thread.id, messages=[*said, call(1), result(1), say("z")]
    )
    fresh = Thread.objects.get(pk=thread.pk)
    first, second = read_page(fresh, 0), read_page(fresh, PAGE)
    assert first.turns[-1].parts[-1].result.text == "done"
    assert kinds(second) == [("assistant", ["text"])]


def test_a_result_far_from_its_call_stands_alone(thread):
    said = [say(f"{n}") for n in range(PAGE + REACH)]
    append_messages(actor=ALICE, thread_id=thread.id, messages=[call(1), *said, result(1, "late")])
    fresh = Thread.objects.get(pk=thread.pk)
    assert read_page(fresh, 0).turns[0].parts[0].result is None
    last = read_page(fresh, PAGE).turns[-1].parts[-1]
    assert (last.kind, last.result.text) == ("result", "late")


def test_what_the_program_put_in_is_subdued(thread):
    page = read(
        thread,
        [say("Summary of it all. " * 20, "system", metadata={"kind": "compact_summary"}),
         say("", "system", metadata={"kind": "command_output"}),
         say("Caveat", "system", metadata={"kind": "meta"}),
         say("<command-name>/clear</command-name>", "user", metadata={"kind": "command"})],
    )  # fmt: skip
    assert kinds(page) == [("system", ["note", "aside"]), ("user", ["command"])]
    assert page.turns[0].parts[0].title == "Summary of the conversation so far"
    assert page.turns[1].parts[0].html == "/clear"


def test_long_texts_are_cut_with_a_way_to_the_rest(thread):
    page = read(thread, [say("x" * 30_000), call(1), result(1, "y" * 10_000)])
    text, called = page.turns[0].parts
    assert text.more == 10_000
    assert called.result.more == 4_000


def test_blocks_of_any_shape_are_read(thread):
    odd = NewMessage(role="assistant", blocks=[
        {"type": "tool_use"}, {"type": "tool_result"}, {"type": "text"}, {"type": 7},
        {"type": "thinking", "thinking": "Hm."}, {"type": "redacted_thinking", "data": "x"},
        {"type": "image", "source": "?"}, {},
        {"type": "tool_use", "id": None, "name": None, "input": [1, 2]},
    ], usage={"output_tokens": "many"})  # fmt: skip
    page = read(thread, [odd])
    assert [p.kind for p in page.turns[0].parts] == [
        "call", "block", "thinking", "aside", "aside", "block", "call",
    ]  # fmt: skip


def test_the_outline_names_what_was_asked(thread):
    append_messages(
        actor=ALICE,
        thread_id=thread.id,
        messages=[say("First?", "user"), say("Yes."), say("Second?", "user")],
    )
    assert [(one["idx"], one["words"]) for one in outline(thread)] == [
        (0, "First?"),
        (2, "Second?"),
    ]


def test_a_title_has_no_tags():
    assert (
        beginning("<command-name>/init</command-name><command-args>now</command-args>")
        == "/init now"
    )
    assert beginning("<note>Fix\n the   pump</note>") == "Fix the pump"


def test_a_subagents_thread_is_linked_from_the_call_that_started_it(alice, workspace):
    with workspace_scope(workspace.id):
        session = make_session(name="Pump")
        main = make_thread(session, name="main")
        sub = make_thread(session, name="Explore", parent_id=main.id,
                          metadata={"tool_use_id": "c1", "agent_type": "explorer"})  # fmt: skip
        append_messages(actor=ALICE, thread_id=main.id, messages=[call(1, "Task"), result(1)])
        append_messages(actor=ALICE, thread_id=sub.id, messages=[say("Look around.", "user")])
    page = alice.get(url(Session, "conversation", session.pk)).content.decode()
    link = url(Thread, "conversation", sub.pk)
    assert page.count(link) == 3  # among the threads, and at the call, to read there or here
    own = alice.get(link).content.decode()
    assert "Look around." in own
    assert "Caller" in own


def test_a_session_without_messages_says_so(alice, workspace):
    with workspace_scope(workspace.id):
        session = make_session(name="Silent")
        make_thread(session)
    assert (
        "Nothing was said" in alice.get(url(Session, "conversation", session.pk)).content.decode()
    )
    for page in ("events", "memories", "raw"):
        assert alice.get(url(Session, page, session.pk)).status_code == 200


@pytest.mark.parametrize("query", ["from=abc", "from=-1", "from=999999999", "at=99999", "at=²",
                                   "from=1e9", "part=1&from=5"])  # fmt: skip
def test_a_wrong_place_in_a_conversation_is_no_error(alice, workspace, query):
    with workspace_scope(workspace.id):
        thread = make_thread(make_session(name="Pump"))
        append_messages(actor=ALICE, thread_id=thread.id, messages=[say("Hello.", "user")])
    assert alice.get(f"{url(Thread, 'conversation', thread.pk)}?{query}").status_code == 200
