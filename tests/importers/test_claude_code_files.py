"""Which files a path leads to, in which order, and what is said where there are none."""

import gzip
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from memory.importers.claude_code import Discovery, discover
from memory.importers.problems import Code, SourceError
from tests.importers.transcripts import SESSION, encode, user, write

OTHER = "22222222-2222-4333-8444-555555555555"


def session_line(session_id: str, **fields: Any) -> dict[str, Any]:
    return user("u1", sessionId=session_id, **fields)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder as Claude Code leaves it, with both layouts of subagents."""
    projects = tmp_path / ".claude" / "projects"
    write(projects / "-b" / f"{SESSION}.jsonl", session_line(SESSION))
    inside = projects / "-b" / SESSION / "subagents"
    write(inside / "agent-b1.jsonl", session_line(SESSION, agentId="b1", isSidechain=True))
    write(inside / "wf" / "agent-a2.jsonl", session_line(SESSION, agentId="a2"))
    write(projects / "-a" / f"{OTHER}.jsonl", session_line(OTHER))
    write(projects / "-a" / "agent-c3.jsonl", session_line(OTHER, agentId="c3"))
    write(projects / "-a" / "memory" / "MEMORY.md", b"# notes\n")
    write(tmp_path / ".claude" / "history.jsonl", {"display": "hi", "project": "/x"})
    return tmp_path


def shape(found: Discovery) -> list[tuple[str, str, int, list[str | None]]]:
    return [
        (s.session_id, s.project, len(s.main), [agent.agent_id for agent in s.subagents])
        for s in found.sessions
    ]


def test_home_config_and_projects_folder_lead_to_the_same_sessions(home: Path) -> None:
    expected = [(OTHER, "-a", 1, ["c3"]), (SESSION, "-b", 1, ["b1", "a2"])]
    for path in (home, home / ".claude", home / ".claude" / "projects"):
        found = discover(path)
        assert shape(found) == expected
        assert found.problems == ()


def test_a_project_a_file_and_a_subagent_alone(home: Path) -> None:
    project = home / ".claude" / "projects" / "-b"
    assert shape(discover(project)) == [(SESSION, "-b", 1, ["b1", "a2"])]
    assert shape(discover(project / f"{SESSION}.jsonl")) == [(SESSION, "-b", 1, [])]
    agent = project / SESSION / "subagents" / "agent-b1.jsonl"
    assert shape(discover(agent)) == [(SESSION, "-b", 0, ["b1"])]


def test_a_file_of_another_name_goes_by_the_session_in_it(tmp_path: Path) -> None:
    path = write(tmp_path / "full copy.txt", b"\n{broken\n", session_line(SESSION))
    assert shape(discover(path)) == [(SESSION, tmp_path.name, 1, [])]


def test_one_session_in_two_files_is_one_session(tmp_path: Path) -> None:
    for state in ("1", "2"):
        write(tmp_path / state / f"{SESSION}.jsonl", session_line(SESSION))
    assert shape(discover(tmp_path)) == [(SESSION, "1", 2, [])]


def test_forks_come_after_what_they_were_made_from(tmp_path: Path) -> None:
    def fork(name: str, of: str) -> None:
        write(tmp_path / f"{name}.jsonl", session_line(name, forkedFrom={"sessionId": of}))

    fork("a", of="b")
    fork("b", of="c")
    write(tmp_path / "c.jsonl", session_line("c"))
    fork("d", of="gone")
    fork("e", of="f")
    fork("f", of="e")
    assert [s.session_id for s in discover(tmp_path).sessions] == ["c", "b", "a", "d", "f", "e"]


def test_other_files_among_them_are_named_and_passed_over(tmp_path: Path) -> None:
    write(tmp_path / f"{SESSION}.jsonl", session_line(SESSION))
    write(tmp_path / "empty.jsonl", b"")
    write(tmp_path / "r.jsonl", {"timestamp": "", "type": "session_meta", "payload": {}})
    os.symlink(tmp_path / "nowhere", tmp_path / "link.jsonl")
    os.mkfifo(tmp_path / "pipe.jsonl")
    found = discover(tmp_path)
    assert [s.session_id for s in found.sessions] == [SESSION]
    reasons = {Path(p.file).name: p.reason for p in found.problems}
    assert reasons.keys() == {"empty.jsonl", "r.jsonl", "link.jsonl"}
    assert reasons["empty.jsonl"] == "is an empty file"
    assert "Codex rollout; try: import codex" in reasons["r.jsonl"]
    assert "cannot be read" in reasons["link.jsonl"]
    assert {p.code for p in found.problems} == {Code.NOT_A_TRANSCRIPT}


def test_links_are_followed_once(tmp_path: Path) -> None:
    real = write(tmp_path / "real" / "-p" / f"{SESSION}.jsonl", session_line(SESSION)).parent
    projects = tmp_path / "projects"
    projects.mkdir()
    os.symlink(real, projects / "-p")
    os.symlink(projects, real / "loop")
    assert shape(discover(projects)) == [(SESSION, "-p", 1, [])]


def sqlite(path: Path, *tables: str) -> Path:
    with sqlite3.connect(path) as connection:
        for table in tables:
            connection.execute(f"CREATE TABLE {table} (x)")
    connection.close()
    return path


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", b"", "is an empty file"),
        ("a.jsonl", b"\x00" * 500, "looks like a file of blanks or NUL bytes"),
        ("a.txt", b"words\n", "looks like text that is not JSON"),
        ("a.jsonl", "{}\n".encode("utf-16"), "UTF-16"),
        ("a.bin", bytes(range(128, 256)) * 9, "binary"),
        ("a.zip", b"PK\x03\x04rest", "damaged zip archive"),
        ("a.vcf", b"BEGIN:VCARD\r\n", "import vcard"),
        ("a.sql", b"--\n-- PostgreSQL database dump\n--\n", "import archon"),
        (
            "a.sql.gz",
            gzip.compress(b"-- PostgreSQL database dump\n", mtime=0),
            "gzip file with a PostgreSQL",
        ),
        ("conversations.json", b'[{"title": "x", "mapping": {}, "current_node": 1}]', "chatgpt"),
        ("mem0.json", b'{"results": [{"memory": "x", "user_id": "y"}]}', "import mem0"),
        ("memory.jsonl", b'{"type":"entity","name":"x","entityType":"y"}\n', "memory-server"),
        ("history.jsonl", b'{"display": "x", "project": "y"}\n', "prompt history"),
        ("a.jsonl", b'{"type": "user", "text": "no message"}\n', "JSON of an unknown kind"),
        ("a.json", json.dumps([1, 2]).encode(), "a JSON array of an unknown kind"),
        ("broken.db", b"SQLite format 3\x00" + b"\x01" * 200, "SQLite database"),
    ],
)
def test_a_file_of_another_kind_is_named(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(SourceError) as refused:
        discover(path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        (["experience", "session"], "import experience-store"),
        (["sessions", "iterations"], "import amp"),
        (["sessions", "workers"], "import life-engine"),
        (["sdk_sessions", "observations"], "import claude-mem"),
        (["pear", "apple"], "with the tables apple, pear"),
    ],
)
def test_databases_are_told_by_their_tables_and_left_alone(
    tmp_path: Path, tables: list[str], said: str
) -> None:
    path = sqlite(tmp_path / "some.db", *tables)
    before = path.read_bytes()
    with pytest.raises(SourceError, match=said):
        discover(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["some.db"]


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        discover(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        discover(Path("/dev/null"))
    with pytest.raises(SourceError, match="holds no Claude Code transcripts"):
        discover(tmp_path)
    write(tmp_path / "a.jsonl", b"words\n")
    with pytest.raises(SourceError, match="looks like text that is not JSON"):
        discover(tmp_path)


def test_names_that_are_not_utf8_can_be_shown(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    with open(folder + b"/gr\xfc\xdf.jsonl", "wb") as stream:
        stream.write(encode({**user("u1"), "sessionId": None}))
    with open(folder + b"/\xff.jsonl", "wb") as stream:
        stream.write(b"words")
    found = discover(tmp_path)
    (session,) = found.sessions
    assert session.session_id == "gr��"
    assert found.problems[0].file.endswith("�.jsonl")
