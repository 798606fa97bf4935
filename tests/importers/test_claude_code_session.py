"""Which thread a line belongs to, what a subagent's is called, and what is known of the session."""

from pathlib import Path
from typing import Any

from memory.importers.claude_code import MAIN_THREAD, SessionReader, discover
from memory.importers.claude_code.records import ThreadRecord
from memory.importers.problems import Code
from tests.importers.transcripts import (
    SESSION,
    Read,
    assistant,
    call,
    read,
    read_path,
    result,
    text,
    user,
    write,
)

# Threads


def threads(got: Read) -> dict[str, ThreadRecord]:
    return {thread.key: thread for thread in got.reader.threads.records()}


def side(line: dict[str, Any], parent: str | None) -> dict[str, Any]:
    return {**line, "isSidechain": True, "parentUuid": parent}


def test_inline_subagents_are_told_apart_by_their_roots(tmp_path: Path) -> None:
    """Two run at once, their lines mixed; one has no call that fits."""
    task = call("t1", "Task", description="Look", subagent_type="scout", prompt="find it\nnow")
    got = read(
        tmp_path,
        user("u1"),
        assistant("a1", [task]),
        side(user("s1", "find it\nnow"), None),
        side(user("w1", "warm up"), None),
        side(assistant("s2", [text("found")]), "s1"),
        side(assistant("w2", [text("warm")]), "w1"),
        user("u2", [result("t1", "found")]),
    )
    by_uuid = {m.native_uuid: m.thread_key for m in got.messages}
    assert by_uuid["u1"] == by_uuid["a1"] == by_uuid["u2"] == MAIN_THREAD
    assert by_uuid["s1"] == by_uuid["s2"] == "sidechain:s1"
    assert by_uuid["w1"] == by_uuid["w2"] == "sidechain:w1"
    look, warm = threads(got)["sidechain:s1"], threads(got)["sidechain:w1"]
    assert (look.name, look.agent_type, look.tool_use_id) == ("Look", "scout", "t1")
    assert look.parent_key == warm.parent_key == MAIN_THREAD
    assert warm.name == "warm up"


def agent_folder(folder: Path, name: str) -> Path:
    return folder / "p" / SESSION / "subagents" / f"agent-{name}.jsonl"


def agent_line(line: dict[str, Any], agent_id: str) -> dict[str, Any]:
    return {**line, "isSidechain": True, "agentId": agent_id}


def test_subagent_files_are_threads_of_the_session(tmp_path: Path) -> None:
    """Matched by the agent's id where the result gives it, whatever the prompt says."""
    first = call("t1", "Agent", description="First", subagent_type="scout", prompt="same")
    second = call("t2", "Agent", description="Second", prompt="same")
    write(
        tmp_path / "p" / f"{SESSION}.jsonl",
        user("u1"),
        assistant("a1", [first, second]),
        user("u2", [result("t2")], toolUseResult={"agentId": "aaa", "totalTokens": 9}),
    )
    write(agent_folder(tmp_path, "aaa"), agent_line(user("s1", "same"), "aaa"))
    write(agent_folder(tmp_path, "bbb"), agent_line(user("s2", "same"), "bbb"))
    got = read_path(tmp_path)
    found = threads(got)
    assert list(found) == [MAIN_THREAD, "agent:aaa", "agent:bbb"]
    assert (found["agent:aaa"].name, found["agent:aaa"].tool_use_id) == ("Second", "t2")
    assert (found["agent:bbb"].name, found["agent:bbb"].agent_type) == ("First", "scout")
    assert got.message("s2").thread_key == "agent:bbb"
    assert got.reader.threads.record("agent:aaa").name == "Second"


def test_a_subagent_of_a_subagent_hangs_below_it_in_whatever_order_they_are_read(
    tmp_path: Path,
) -> None:
    outer = call("t1", "Task", description="Outer", prompt="outer")
    inner = call("t2", "Task", description="Inner", prompt="inner")
    write(tmp_path / "p" / f"{SESSION}.jsonl", assistant("a1", [outer]))
    write(agent_folder(tmp_path, "1-inner"), agent_line(user("s1", "inner"), "1-inner"))
    write(
        agent_folder(tmp_path, "2-outer"),
        agent_line(user("s2", "outer"), "2-outer"),
        agent_line(assistant("s3", [inner]), "2-outer"),
    )
    found = threads(read_path(tmp_path))
    assert found["agent:1-inner"].parent_key == "agent:2-outer"
    assert found["agent:1-inner"].name == "Inner"
    assert found["agent:2-outer"].parent_key == MAIN_THREAD


def test_a_sidecar_file_names_a_subagent_that_nothing_else_does(tmp_path: Path) -> None:
    path = write(agent_folder(tmp_path, "aaa"), agent_line(user("s1", "go"), "aaa"))
    path.with_suffix(".meta.json").write_text('{"agentType": "scout", "description": "Look"}')
    write(agent_folder(tmp_path, "bbb"), agent_line(user("s2", "go on\nnow"), "bbb"))
    agent_folder(tmp_path, "bbb").with_suffix(".meta.json").write_text("{broken")
    found = threads(read_path(tmp_path))
    assert (found["agent:aaa"].name, found["agent:aaa"].agent_type) == ("Look", "scout")
    assert (found["agent:bbb"].name, found["agent:bbb"].agent_type) == ("go on", None)


# The session


def test_facts_of_the_session(tmp_path: Path) -> None:
    command = "<command-name>/clear</command-name><command-args></command-args>"
    got = read(
        tmp_path,
        user("m1", "Caveat", isMeta=True, timestamp="2026-01-02T11:59:00Z"),
        user("u1", command, cwd="/code", gitBranch="main", version="2.0.1"),
        user("u2", [text("<ide_opened_file>a.py</ide_opened_file>"), text("fix it\nplease")]),
        assistant("a1", message={"model": "claude-a"}, cwd="/code/sub", version="2.0.2"),
        assistant("a2", message={"model": "<synthetic>"}),
        user("u3", "[Request interrupted by user]", timestamp="2026-01-02T13:00:00Z"),
        user("u4", "summary of all", isCompactSummary=True),
    )
    facts = got.reader.facts
    assert facts.session_id == SESSION
    assert [t and t.hour for t in (facts.started_at, facts.last_at)] == [11, 13]
    assert (facts.cwd, facts.cwds) == ("/code", ["/code", "/code/sub"])
    assert (facts.git_branch, facts.version) == ("main", "2.0.2")
    assert (facts.model, facts.models) == ("claude-a", {"claude-a": 1})
    assert (facts.first_user_text, facts.first_command) == (command, "/clear")
    assert facts.first_prompt == "fix it\nplease"
    assert facts.title == "fix it"
    assert (facts.prompts, facts.interruptions, facts.compactions) == (1, 1, 1)
    assert facts.messages == 7


def test_the_title_is_what_a_person_gave_then_the_program_then_what_was_asked(
    tmp_path: Path,
) -> None:
    own = {"type": "summary", "summary": "Own", "leafUuid": "u1"}
    other = {"type": "summary", "summary": "Other session", "leafUuid": "elsewhere"}
    by_program = {"type": "ai-title", "aiTitle": "By program", "sessionId": SESSION}
    by_person = {"type": "custom-title", "customTitle": "By person", "sessionId": SESSION}
    lines = [other, user("u1", "do it")]
    assert read(tmp_path, *lines).reader.facts.title == "do it"
    assert read(tmp_path, *lines, own).reader.facts.title == "Own"
    assert read(tmp_path, *lines, own, by_program).reader.facts.title == "By program"
    got = read(tmp_path, *lines, by_person, by_program)
    assert got.reader.facts.title == "By person"
    # For the session that has that message.
    assert got.reader.facts.summaries == {"elsewhere": "Other session"}


def test_lines_without_session_belong_to_the_file_s(tmp_path: Path) -> None:
    nameless = {k: v for k, v in user("u2").items() if k != "sessionId"}
    got = read(tmp_path, user("u1"), nameless, user("u3", sessionId="another"))
    assert [item.line.session_id for item in got.items] == [SESSION, SESSION, "another"]
    assert got.reader.files[0].session_ids == [SESSION, "another"]


def test_a_fork_keeps_its_lines_and_says_where_they_are_from(tmp_path: Path) -> None:
    origin, fork = SESSION, "99999999-2222-4333-8444-555555555555"
    usage = {"usage": {"input_tokens": 5}}
    copied = {"forkedFrom": {"sessionId": origin, "messageUuid": "a1"}, "sessionId": fork}
    write(tmp_path / f"{fork}.jsonl", {**assistant("a1", message=usage), **copied})
    write(tmp_path / f"{origin}.jsonl", assistant("a1", message=usage))
    sessions = discover(tmp_path).sessions
    assert [s.session_id for s in sessions] == [origin, fork]
    reader = SessionReader(sessions[1])
    (item,) = list(reader)
    assert item.message is not None
    assert (item.line.forked_from, item.message.forked_from) == (origin, origin)
    assert item.message.usage is None
    assert item.message.usage_reported is not None
    assert item.message.usage_reported["input_tokens"] == 5
    assert [p.code for p in reader.problems] == [Code.FORK]
