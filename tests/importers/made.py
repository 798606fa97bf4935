"""Small sources of the formats that the test data has none of, as their programs write them."""

import json
import sqlite3
from pathlib import Path
from typing import Any


def node(
    key: str,
    parent: str,
    children: list[str],
    role: str = "user",
    said: str = "",
    at: float | None = None,
    **more: object,
) -> dict[str, Any]:
    """A node of a conversation of ChatGPT."""
    message: dict[str, Any] = {
        "id": key,
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": at,
        "update_time": None,
        "content": {"content_type": "text", "parts": [said]},
        "status": "finished_successfully",
        "recipient": "all",
        "metadata": {"model_slug": "gpt-4o"} if role == "assistant" else {},
    }
    return {"id": key, "parent": parent, "children": children, "message": message | more}


def conversation(number: int, turns: int = 4, at: float = 1_700_000_000.5) -> dict[str, Any]:
    """One with an empty root, an empty hidden system message, and a branch at the end."""
    name = f"c{number:04}"
    nodes: dict[str, Any] = {
        f"{name}-root": {"id": f"{name}-root", "message": None, "parent": None,
                         "children": [f"{name}-sys"]},
        f"{name}-sys": node(f"{name}-sys", f"{name}-root", [f"{name}-0"], "system"),
    }  # fmt: skip
    parent = f"{name}-sys"
    for turn in range(turns):
        key = f"{name}-{turn}"
        role = "assistant" if turn % 2 else "user"
        said = f"Turn {turn} of conversation {number}"
        nodes[key] = node(key, parent, [f"{name}-{turn + 1}"], role, said, at + turn)
        parent = key
    nodes[parent]["children"] = [f"{name}-old"]
    nodes[f"{name}-old"] = node(f"{name}-old", f"{name}-0", [], "assistant", "An older answer",
                                at + 0.5)  # fmt: skip
    return {
        "title": f"Conversation {number}",
        "create_time": at,
        "update_time": at + turns,
        "mapping": nodes,
        "current_node": parent,
        "conversation_id": f"{name}-8f2a",
        "id": f"{name}-8f2a",
        "default_model_slug": "gpt-4o",
        "is_archived": False,
    }


def chatgpt(path: Path, conversations: int = 36) -> None:
    path.write_text(json.dumps([conversation(n) for n in range(conversations)]), encoding="utf-8")


def memory_server(path: Path, entities: int = 52) -> None:
    rows: list[dict[str, Any]] = [
        {"type": "relation", "from": "Person 1", "to": "Team 2", "relationType": "works_in"}
    ]
    for number in range(entities):
        kind = "Person" if number % 2 else "Team"
        rows.append(
            {
                "type": "entity",
                "name": f"{kind} {number}",
                "entityType": kind.lower(),
                "observations": [f"Likes the number {number}", f"Was seen {number} times"],
            }
        )
        rows.append(
            {
                "type": "relation",
                "from": f"{kind} {number}",
                "to": "Team 0",
                "relationType": "knows",
            }
        )
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")


CLAUDE_MEM = """
CREATE TABLE sdk_sessions (id INTEGER PRIMARY KEY, content_session_id TEXT NOT NULL,
  memory_session_id TEXT UNIQUE, project TEXT NOT NULL,
  platform_source TEXT NOT NULL DEFAULT 'claude', user_prompt TEXT, started_at TEXT NOT NULL,
  started_at_epoch INTEGER NOT NULL, completed_at TEXT, completed_at_epoch INTEGER,
  status TEXT NOT NULL DEFAULT 'active', worker_port INTEGER, prompt_counter INTEGER DEFAULT 0,
  custom_title TEXT);
CREATE TABLE user_prompts (id INTEGER PRIMARY KEY, session_db_id INTEGER,
  content_session_id TEXT NOT NULL, prompt_number INTEGER NOT NULL, prompt_text TEXT NOT NULL,
  created_at TEXT NOT NULL, created_at_epoch INTEGER NOT NULL);
CREATE TABLE observations (id INTEGER PRIMARY KEY, memory_session_id TEXT NOT NULL,
  project TEXT NOT NULL, text TEXT, type TEXT NOT NULL, title TEXT, subtitle TEXT, facts TEXT,
  narrative TEXT, concepts TEXT, files_read TEXT, files_modified TEXT, prompt_number INTEGER,
  discovery_tokens INTEGER DEFAULT 0, created_at TEXT NOT NULL, created_at_epoch INTEGER NOT NULL);
CREATE TABLE session_summaries (id INTEGER PRIMARY KEY, memory_session_id TEXT NOT NULL,
  project TEXT NOT NULL, request TEXT, investigated TEXT, learned TEXT, completed TEXT,
  next_steps TEXT, files_read TEXT, files_edited TEXT, notes TEXT, prompt_number INTEGER,
  created_at TEXT NOT NULL, created_at_epoch INTEGER NOT NULL);
CREATE TABLE tool_uses (id INTEGER PRIMARY KEY, tool_use_id TEXT NOT NULL,
  content_session_id TEXT NOT NULL, memory_session_id TEXT, session_db_id INTEGER,
  project TEXT NOT NULL, platform_source TEXT NOT NULL DEFAULT 'claude', tool_name TEXT NOT NULL,
  tool_input TEXT, tool_response TEXT, cwd TEXT, created_at TEXT NOT NULL,
  created_at_epoch INTEGER NOT NULL);
CREATE TABLE schema_versions (id INTEGER PRIMARY KEY, version INTEGER);
CREATE VIRTUAL TABLE observations_fts USING fts5(title, content='observations');
INSERT INTO schema_versions (version) VALUES (52);
"""


def claude_mem(path: Path, sessions: int = 48) -> None:
    """In the shape of the columns that its 52nd version has had since its first ones."""
    at = ("2026-01-02T03:04:05.000Z", 1767323045000)
    db = sqlite3.connect(path)
    with db:
        db.executescript(CLAUDE_MEM)
        for n in range(1, sessions + 1):
            db.execute(
                "INSERT INTO sdk_sessions VALUES (?, ?, ?, 'shop', 'claude', 'Fix the till', ?, ?, "
                "?, ?, 'completed', 1, 1, NULL)",
                (n, f"content-{n}", f"memory-{n}", *at, "2026-01-02T04:04:05Z", at[1] + 3_600_000),
            )
            db.execute("INSERT INTO user_prompts VALUES (?, ?, ?, 1, ?, ?, ?)",
                       (n, n, f"content-{n}", f"Fix the till, time {n}", *at))  # fmt: skip
            db.execute(
                "INSERT INTO observations VALUES (?, ?, 'shop', NULL, 'bugfix', ?, 'Cents', ?, "
                "'The till rounded down.', '[\"gotcha\"]', '[]', '[\"till.py\"]', 1, 900, ?, ?)",
                (n, f"memory-{n}", f"Till {n} fixed", json.dumps(["It uses floats"]), *at),
            )
            db.execute(
                "INSERT INTO session_summaries VALUES (?, ?, 'shop', 'Fix it', '', 'Floats lie', "
                "'Fixed', '', '[]', '[]', NULL, 1, ?, ?)",
                (n, f"memory-{n}", *at),
            )
            db.execute(
                "INSERT INTO tool_uses VALUES (?, ?, ?, ?, ?, 'shop', 'claude', 'Edit', ?, 'ok', "
                "'/shop', ?, ?)",
                (n, f"toolu_{n}", f"content-{n}", f"memory-{n}", n, '{"file": "till.py"}', *at),
            )
    db.close()


def mem0(path: Path, memories: int = 210) -> None:
    rows = [
        {
            "id": f"{0x0190A000 + number:08x}-0000-4000-8000-000000000000",
            "memory": f"Person {number} drinks tea at {number % 24}:00",
            "hash": f"{number:032x}",
            "metadata": {"category": "preferences", "source": "chat"},
            "created_at": "2025-05-01T10:00:00.123456-07:00",
            "updated_at": None,
            "user_id": "ada",
            "agent_id": "butler",
        }
        for number in range(memories)
    ]
    relations = [{"source": "ada", "relationship": "lives_in", "target": "london"}]
    path.write_text(json.dumps({"results": rows, "relations": relations}), encoding="utf-8")


def claude_md(path: Path) -> None:
    """A repository with a CLAUDE.md of many bullets, and an auto memory."""
    auto = path / ".claude" / "projects" / "-home-ada-shop" / "memory"
    auto.mkdir(parents=True)
    rules = "\n".join(f"- Run `make check-{n}` before you push" for n in range(205))
    (path / "CLAUDE.md").write_text(f"# Shop\n\nA shop for tea.\n\n## Commands\n\n{rules}\n")
    (auto / "MEMORY.md").write_text("# Memory\n\n- [Tea](tea.md) - green\n- Ada owns it\n")
    (auto / "tea.md").write_text(
        "---\nname: tea\ndescription: Only green tea\ntype: feedback\n---\nAda drinks green tea.\n"
    )


def basic_memory(path: Path, notes: int = 70) -> None:
    path.mkdir(parents=True)
    for n in range(notes):
        (path / f"Tea {n}.md").write_text(
            f"---\ntitle: Tea {n}\ntype: {'person' if n == 1 else 'note'}\n"
            f"permalink: teas/tea-{n}\ntags: [tea, drink]\n---\n# Tea {n}\n\nOf number {n}.\n\n"
            f"## Observations\n- [fact] Steeps {n} minutes #time (tried)\n- [taste] Green\n\n"
            f"## Relations\n- better_than [[Tea {(n + 1) % notes}]]\n- [[teas/tea-0]]\n",
            encoding="utf-8",
        )


def vcard(path: Path, people: int = 42) -> None:
    """Some with a UID, some with an email alone, some with nothing but a name."""
    cards = []
    for n in range(people):
        known = (f"UID:urn:uuid:{n}\r\n", f"EMAIL:person{n}@example.org\r\n", "")[n % 3]
        cards.append(f"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Person {n}\r\n{known}END:VCARD\r\n")
    path.write_text("".join(cards), encoding="utf-8", newline="")
