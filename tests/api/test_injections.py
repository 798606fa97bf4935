"""Text that would give orders, stored through every door, comes out as data: between fences that it
cannot end, and trusted no more than whoever brought it."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from config.lib.recalled import CLOSE, OPEN
from config.lib.scope import workspace_scope
from contacts.models import Workspace
from memory.importers.registry import SOURCES
from memory.importers.run import run_import
from memory.models import Memory, Passage
from memory.models.memory import MemoryState, Trust
from memory.search.context import CONFIRMED
from memory.services.hooks import map_waiting
from memory.services.memories import update_memory
from sessions.models import Session
from tests.admin.conftest import person, signed_in
from tests.admin.pages import form_of, url
from tests.api.caller import Caller, caller, made
from tests.factories import ALICE, ROOT
from tests.hook_payloads import SESSION, claude
from tests.importers import transcripts as lines
from tests.importers.made import node
from tests.importers.stores import experience_store
from tests.mcp.speaking import Agent, agent_of
from tests.search.conftest import embedder

__all__ = ["embedder"]

CORPUS = json.loads((ROOT / "tests/corpora/injections.json").read_text(encoding="utf-8"))
# In the place from which an attack is read, a word by which it is found, and its own.
TEXTS = [one["text"].replace("{c}", f"boiler qz{n}x") for n, one in enumerate(CORPUS)]
CANARY = re.compile(r"qz\d+x")
# As a program's file holds them that has a line for each.
LINES = [" ".join(re.sub(r"[^\x20-\U0010ffff]", " ", text).split()) for text in TEXTS]


@dataclass
class Here:
    workspace: Workspace
    api: Caller
    agent: Agent
    folder: Path
    person: Client


@pytest.fixture
def here(workspace, tmp_path, embedder):
    alice = signed_in(person("alice", (workspace, "owner")))
    return Here(workspace, caller(workspace), agent_of(workspace), tmp_path, alice)


# --- Doors --------------------------------------------------------------------------------------


def memories(here: Here) -> None:
    for text in TEXTS:
        made(here.api.post("/memories", {"text": text, "pinned": True, "kind": "decision"}))


def batch(here: Here) -> None:
    rows = [{"text": text, "tags": [text[:90]]} for text in TEXTS]
    made(here.api.post("/memories/batch", {"memories": rows}))


def a_session(here: Here, **fields: Any) -> str:
    return str(made(here.api.post("/sessions", fields))["id"])


def events(here: Here) -> None:
    path = f"/sessions/{a_session(here)}/events/batch"
    rows = [{"event_type": "note", "text": t, "data": {"says": t}} for t in TEXTS]
    made(here.api.post(path, {"events": rows}))


def messages(here: Here) -> None:
    thread = made(here.api.post(f"/sessions/{a_session(here)}/threads", {}))["id"]
    roles = ("user", "assistant", "tool")
    rows = [{"role": roles[n % 3], "content": text} for n, text in enumerate(TEXTS)]
    made(here.api.post(f"/threads/{thread}/messages", {"messages": rows}))


def hooks(here: Here) -> None:
    for n, text in enumerate(TEXTS):
        told = claude("UserPromptSubmit", prompt=text, prompt_id=f"p{n}")
        if n % 2:
            told = claude("PostToolUse", tool_name="WebFetch", tool_use_id=f"t{n}",
                          tool_input={"url": text}, tool_response=text)  # fmt: skip
        assert here.api.post("/hooks/claude-code", told).status_code == 200
    map_waiting(here.workspace.id, seconds=60)


def conversation_lines() -> list[dict[str, Any]]:
    found = []
    for n, text in enumerate(TEXTS):
        if n % 3 == 2:
            found.append(lines.assistant(f"c{n}", [lines.call(f"toolu_{n}", "WebFetch", url=text)]))
            found.append(lines.user(f"r{n}", [lines.result(f"toolu_{n}", text)]))
        else:
            found.append((lines.user, lines.assistant)[n % 3](f"u{n}", text))
    return [{**one, "sessionId": SESSION} for one in found]


def transcript(here: Here) -> None:
    body = b"".join(json.dumps(one).encode() + b"\n" for one in conversation_lines())
    path = f"/transcripts?agent=claude-code&session={SESSION}&offset=0"
    made(here.api.call("POST", path, raw=body))


def mcp(here: Here) -> None:
    for text in TEXTS:
        here.agent.call("memory_save", text=text, tags=[text[:90]])


def names(here: Here) -> None:
    """What is told beside: sessions, projects, tasks, handoffs, priorities."""
    project = made(here.api.post("/projects", {"title": TEXTS[0][:200]}))["id"]
    for text in TEXTS:
        session = made(here.api.post("/sessions", {"name": text[:200], "prompt": text,
                                                   "project": project}))  # fmt: skip
        made(here.api.post("/tasks", {"title": " ".join(text.split())[:200],
                                      "description": text, "project_id": project}))  # fmt: skip
    made(here.api.post("/handoffs", {"from_session_id": session["id"], "content": TEXTS[40]}))
    with workspace_scope(here.workspace.id):
        Session.objects.update(summary=TEXTS[41], summary_data={"next_steps": TEXTS[42:50]})


def contacts(here: Here) -> None:
    for text in TEXTS:
        name = " ".join(text.split())[:150]
        made(here.api.post("/contacts", {"name": name, "notes": text, "description": text}))


def form(here: Here) -> None:
    address = url(Memory, "add")
    empty = form_of(here.person, address)
    for text in TEXTS[::4]:
        sent = empty | {"text": text, "trust": Trust.AGENT}
        response = here.person.post(address, sent)
        assert response.status_code == 302, response.context["adminform"].form.errors


def take(here: Here, source: str, path: Path) -> None:
    report = run_import(workspace_id=here.workspace.id, source=SOURCES[source], where=str(path))
    assert report.tables


def claude_code_files(here: Here) -> None:
    folder = here.folder / "projects" / "-home-vera"
    lines.write(folder / f"{SESSION}.jsonl", *conversation_lines())
    take(here, "claude-code", here.folder / "projects")


def codex_files(here: Here) -> None:
    name = "rollout-2026-01-02T03-04-05-019a2b3c-0000-7000-8000-00000000c0de.jsonl"
    at = "2026-01-02T03:04:05.000Z"
    rows: list[dict[str, Any]] = [
        {"timestamp": at, "type": "session_meta",
         "payload": {"id": "019a2b3c-0000-7000-8000-00000000c0de", "timestamp": at, "cwd": "/x"}}
    ]  # fmt: skip
    for text in TEXTS:
        said = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": text}],
        }
        rows.append({"timestamp": at, "type": "response_item", "payload": said})
    take(here, "codex", lines.write(here.folder / "sessions" / "2026" / "01" / "02" / name, *rows))


def chatgpt_file(here: Here) -> None:
    nodes: dict[str, Any] = {"r": {"id": "r", "message": None, "parent": None, "children": ["n0"]}}
    for n, text in enumerate(TEXTS):
        role = ("user", "assistant", "tool")[n % 3]
        nodes[f"n{n}"] = node(f"n{n}", f"n{n - 1}" if n else "r", [f"n{n + 1}"], role, text, 1.7e9)
    nodes[f"n{len(TEXTS) - 1}"]["children"] = []
    talk = {"title": TEXTS[3], "create_time": 1.7e9, "mapping": nodes, "id": "c",
            "current_node": f"n{len(TEXTS) - 1}", "conversation_id": "c"}  # fmt: skip
    path = here.folder / "conversations.json"
    path.write_text(json.dumps([talk]), encoding="utf-8")
    take(here, "chatgpt", path)


def mem0_file(here: Here) -> None:
    path = here.folder / "mem0.json"
    rows = [
        {"id": f"m{n}", "memory": text, "user_id": "ada", "trust": "operator", "state": "active",
         "metadata": {"trust": "verified"}}
        for n, text in enumerate(TEXTS)
    ]  # fmt: skip
    path.write_text(json.dumps(rows), encoding="utf-8")
    take(here, "mem0", path)


def memory_server_file(here: Here) -> None:
    path = here.folder / "memory.jsonl"
    row = {"type": "entity", "name": "Boiler", "entityType": "machine", "observations": TEXTS}
    path.write_text(json.dumps(row), encoding="utf-8")
    take(here, "memory-server", path)


def claude_md_file(here: Here) -> None:
    rules = "\n".join(f"- {text}" for text in LINES)
    (here.folder / "CLAUDE.md").write_text(f"# Shop\n\n{rules}\n", encoding="utf-8")
    take(here, "claude-md", here.folder)


def basic_memory_notes(here: Here) -> None:
    folder = here.folder / "notes"
    folder.mkdir()
    rules = "\n".join(f"- [fact] {text}" for text in LINES)
    front = "---\ntitle: Boiler\ntype: note\ntrust: operator\n---\n"
    (folder / "Boiler.md").write_text(f"{front}# Boiler\n\n{rules}\n", encoding="utf-8")
    take(here, "basic-memory", folder)


def experience_file(here: Here) -> None:
    take(here, "experience-store", experience_store(here.folder / "raw.db", TEXTS))


def vcard_file(here: Here) -> None:
    cards = [
        f"BEGIN:VCARD\r\nVERSION:4.0\r\nUID:u{n}\r\nFN:Boiler {n}\r\nNOTE:"
        + text.replace("\\", "\\\\").replace(",", "\\,").replace(";", "\\;")
        + "\r\nEND:VCARD\r\n"
        for n, text in enumerate(LINES)
    ]
    path = here.folder / "people.vcf"
    path.write_text("".join(cards), encoding="utf-8", newline="")
    take(here, "vcard", path)


DOORS: tuple[Callable[[Here], None], ...] = (
    memories, batch, events, messages, hooks, transcript, mcp, names, contacts, form,
    claude_code_files, codex_files, chatgpt_file, mem0_file, memory_server_file, claude_md_file,
    basic_memory_notes, experience_file, vcard_file,
)  # fmt: skip


# --- Exits --------------------------------------------------------------------------------------


def context_of(here: Here) -> list[str]:
    found = []
    for kinds in (["memory"], ["message"], ["event"], ["contact", "task", "project", "summary"]):
        asked = {"q": "boiler", "mode": "lexical", "limit": 100, "max_tokens": 8000, "kinds": kinds}
        found.append(made(here.api.get(f"/context?{urlencode(asked, doseq=True)}"))["text"])
    return found


def search_of(here: Here) -> list[str]:
    asked = {"q": "boiler", "limit": 100, "max_tokens": 8000}
    return [made(here.api.post("/search", asked))["context"]["text"]]


def briefings(here: Here) -> list[str]:
    with workspace_scope(here.workspace.id):
        last = Session.objects.order_by("-id").first()
    asked: list[dict[str, Any]] = [{"q": "boiler"}, {}]
    if last is not None:
        asked.append({"q": "boiler", "session": str(last.id), "again": "true"})
        if last.project_id:
            asked.append({"project": str(last.project_id)})
    return [
        made(here.api.get(f"/briefing?{urlencode({**one, 'max_tokens': 16_000})}"))["text"]
        for one in asked
    ]


def hook_answers(here: Here) -> list[str]:
    session = "11111111-9b0a-4c57-8a53-2f6d3f8f0c11"
    told = []
    for payload in (
        claude("SessionStart", session, source="startup"),
        claude("UserPromptSubmit", session, prompt="What of the boiler?", prompt_id="q"),
    ):
        answer = here.api.post("/hooks/claude-code", payload).json()
        told.append(answer.get("hookSpecificOutput", {}).get("additionalContext", ""))
    return told


def mcp_texts(here: Here) -> list[str]:
    asked = (
        ("memory_search", {"query": "boiler", "limit": 50}),
        ("session_context", {"query": "boiler", "max_tokens": 16_000}),
    )
    found = []
    for name, arguments in asked:
        result = here.agent.result("tools/call", name=name, arguments=arguments)
        assert not result.get("isError"), result
        found += [one["text"] for one in result["content"]]
    return found


def mcp_resources(here: Here) -> list[str]:
    listed = here.agent.result("resources/list")["resources"]
    found = [one.get(name) or "" for one in listed for name in ("name", "title", "description")]
    uris = [one["uri"] for one in listed[:3]]
    with workspace_scope(here.workspace.id):
        ids = list(Memory.objects.order_by("id").values_list("id", flat=True))
    uris += [f"remembrancer://memories/{one}" for one in ids]
    for uri in uris:
        found += [one["text"] for one in here.agent.result("resources/read", uri=uri)["contents"]]
    return found


def mcp_prompts(here: Here) -> list[str]:
    found = []
    for name, arguments in (("recall", {"topic": "the boiler"}), ("start", {})):
        result = here.agent.result("prompts/get", name=name, arguments=arguments)
        found += [one["content"]["text"] for one in result["messages"]]
    return found


EXITS = (context_of, search_of, briefings, hook_answers, mcp_texts, mcp_resources, mcp_prompts)
# Those that carry the mark of recalled text around what is stored.
MARKED = (briefings, hook_answers, mcp_texts, mcp_prompts)


def mcp_objects(here: Here) -> list[str]:
    """Tools that answer with rows, as JSON."""
    asked = (
        ("session_search", {"query": "boiler"}),
        ("contact_find", {"query": "boiler"}),
        ("work_find", {"query": "boiler"}),
        ("memory_search", {"query": "boiler", "response_format": "detailed"}),
    )
    found = []
    for name, arguments in asked:
        result = here.agent.result("tools/call", name=name, arguments=arguments)
        assert not result.get("isError"), (name, result)
        found.append(json.dumps(result["structuredContent"], ensure_ascii=False))
    return found


def outside(text: str) -> str:
    """What stands outside of every fence. A fence ends at the first line that is its mark alone."""
    left, mark = [], ""
    for line in text.split("\n"):
        if mark:
            mark = "" if line == mark else mark
        elif opened := re.fullmatch(r"(~{3,})data", line):
            mark = opened[1]
        else:
            left.append(line)
    assert not mark, "a fence without an end"
    return "\n".join(left)


# --- The test -----------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_what_is_stored_comes_out_as_data(here, door):
    door(here)
    seen: set[str] = set()
    for leave in EXITS:
        for text in leave(here):
            seen |= set(CANARY.findall(text))
            assert CANARY.findall(outside(text)) == [], leave.__name__
            # Nothing hides in it, nor turns it round.
            hidden = {c for c in text if not c.isprintable()}
            assert hidden <= {"\n", "\t", "\u200c", "\u200d"}, (leave.__name__, hidden)
            if OPEN in text or (leave in MARKED and text):
                assert (text.count(OPEN), text.count(CLOSE)) == (1, 1), leave.__name__
                assert CANARY.findall(text.partition(OPEN)[0] + text.partition(CLOSE)[2]) == []
    for text in mcp_objects(here):
        assert text.startswith(f'{{"begin": "{OPEN}"')
        assert text.endswith(f'"end": "{CLOSE}"}}')
        assert (text.count(OPEN), text.count(CLOSE)) == (1, 1)
        seen |= set(CANARY.findall(text))
    # It was there to be found, or the above says nothing.
    assert len(seen) >= 10, seen
    with workspace_scope(here.workspace.id):
        assert not Memory.objects.filter(trust__in=CONFIRMED).exists()
        assert not Passage.objects.filter(trust__in=CONFIRMED).exists()
        outsiders = Memory.objects.filter(trust=Trust.EXTERNAL)
        assert not outsiders.filter(state=MemoryState.ACTIVE).exists()
        told = Passage.objects.filter(of_message__role="tool")
        assert not told.exclude(trust=Trust.EXTERNAL).exists()


def test_the_corpus_has_what_it_should():
    assert len(CORPUS) >= 60
    assert {one["kind"] for one in CORPUS} == {
        "override", "fake_system", "hidden_unicode", "comments", "fence_breaking", "tool_call",
        "exfiltration", "languages", "encoded", "claims_of_trust",
    }  # fmt: skip
    assert all("{c}" in one["text"] for one in CORPUS)


# --- Lineage ------------------------------------------------------------------------------------


@pytest.fixture
def parents(here):
    """A memory of each trust, and a message of a tool."""
    thread = made(here.api.post(f"/sessions/{a_session(here)}/threads", {}))["id"]
    said = {"messages": [{"role": r, "content": "pump"} for r in ("tool", "user")]}
    tool, user = made(here.api.post(f"/threads/{thread}/messages", said))["items"]
    rows = {}
    for trust in Trust:
        row = made(here.api.post("/memories", {"text": f"The pump is {trust}."}))
        with workspace_scope(here.workspace.id):
            update_memory(actor=ALICE, memory_id=row["id"], changes={"trust": trust})
        rows[trust.value] = row["id"]
    return SimpleNamespace(**rows, tool=tool["id"], user=user["id"])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("of", "trust", "state"),
    [
        (lambda p: {"parents": [p.operator, p.verified]}, "agent", "active"),
        (lambda p: {"parents": [p.operator, p.external]}, "external", "quarantined"),
        (lambda p: {"causes": [p.external]}, "agent", "active"),
        (lambda p: {"evidence": [{"message_id": p.user}]}, "agent", "active"),
        (lambda p: {"evidence": [{"message_id": p.tool}]}, "external", "quarantined"),
        (lambda p: {"evidence": [{"uri": "https://x.example", "quote": "do"}]},
         "external", "quarantined"),
        (lambda p: {"evidence": [{"uri": "https://x.example"}]}, "agent", "active"),
        (lambda p: {"kind": "web_observation"}, "external", "quarantined"),
        (lambda p: {"trust": "external", "state": "active"}, "external", "quarantined"),
        (lambda p: {"trust": "external", "state": "archived"}, "external", "archived"),
    ],
)  # fmt: skip
def test_what_is_derived_has_the_least_trust_of_its_parents(here, parents, of, trust, state):
    sent = {"text": "It is derived.", **of(parents)}
    row = made(here.api.post("/memories", sent))
    assert (row["trust"], row["state"]) == (trust, state)
    if trust == "external":
        for changes in ({"trust": "agent"}, {"state": "active"}):
            refused = here.api.patch(f"/memories/{row['id']}", changes, if_match="*")
            assert refused.status_code == 403 or ("state" in changes and state == "archived")


@pytest.mark.django_db
def test_a_link_to_less_trusted_lowers_what_nobody_vouched_for(here, parents):
    for relation, expected in (("related", "agent"), ("derived_from", "external")):
        row = made(here.api.post("/memories", {"text": f"By {relation}."}))
        link = {"target_id": parents.external, "relation": relation}
        made(here.api.post(f"/memories/{row['id']}/links", link))
        assert made(here.api.get(f"/memories/{row['id']}"))["trust"] == expected
    link = {"target_id": parents.external, "relation": "derived_from"}
    made(here.api.post(f"/memories/{parents.verified}/links", link))
    assert made(here.api.get(f"/memories/{parents.verified}"))["trust"] == "verified"


@pytest.mark.django_db
def test_what_came_from_outside_is_found_when_asked_for_and_not_pushed(here, parents):
    asked = urlencode({"q": "pump", "mode": "lexical"})
    assert "pump is external" in made(here.api.get(f"/context?{asked}"))["text"]
    told = made(here.api.get("/briefing?q=pump"))["text"]
    assert "pump is external" not in told
    assert "pump is agent" in told
