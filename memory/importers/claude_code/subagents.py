"""Tells the threads of a session apart, and finds out what each subagent was asked to do.

Two layouts exist. Newer versions give each subagent a file of its own whose lines carry its
`agentId`; older ones write its lines into the main file, marked `isSidechain`, as a tree whose
root has no parent. A thread's name comes from the call that started it (tool `Task`, later
`Agent`): matched by the agent's id where a result or a sidecar file gives it, else because the
subagent's first prompt is the call's prompt, word for word. Not for reading files.
"""

import hashlib
from collections import deque
from dataclasses import dataclass
from typing import Any

from config.lib.shorten import beginning
from memory.importers.claude_code.records import MAIN_THREAD, ThreadRecord
from memory.importers.storable import Storable

SPAWNING_TOOLS = frozenset({"Task", "Agent"})
# What the column takes is 300.
NAME_LIMIT = 200


@dataclass(slots=True)
class _Call:
    """A call that starts a subagent."""

    tool_use_id: str
    thread_key: str
    description: str
    agent_type: str | None
    taken: bool = False


@dataclass(slots=True)
class _Thread:
    key: str
    agent_id: str | None
    agent_type: str | None = None
    description: str = ""
    prompt: bytes | None = None
    opening: str = ""
    call: _Call | None = None


class Threads:
    """The threads of one session, growing while its lines are read.

    Memory: one entry for each line of an inline subagent (to follow parents to the root), one
    for each spawning call.
    """

    def __init__(self) -> None:
        self._threads: dict[str, _Thread] = {}
        self._root_of: dict[str, str] = {}
        self._calls: dict[str, _Call] = {}
        self._calls_by_prompt: dict[bytes, deque[_Call]] = {}
        self._call_of_agent: dict[str, str] = {}
        self._last_inline: str | None = None

    def agent_thread(self, agent_id: str, meta: dict[str, Any] | None = None) -> str:
        """The key of an agent's thread; `meta` is its sidecar file."""
        key = f"agent:{agent_id}"
        thread = self._threads.setdefault(key, _Thread(key, agent_id))
        if meta:
            thread.agent_type = thread.agent_type or _text(meta.get("agentType"))
            thread.description = thread.description or _text(meta.get("description")) or ""
            if tool_use_id := _text(meta.get("toolUseId")):
                self._call_of_agent.setdefault(agent_id, tool_use_id)
        return key

    def inline_thread(self, uuid: str | None, parent_uuid: str | None) -> str:
        """The key of the thread that a line marked `isSidechain` in a main file belongs to."""
        key = self._root_of.get(parent_uuid) if parent_uuid else None
        if key is None:
            # No parent, or one outside: the line is a root. Without any id it can only be
            # put with the subagent that wrote last.
            key = f"sidechain:{uuid}" if uuid else self._last_inline or "sidechain:unknown"
            self._threads.setdefault(key, _Thread(key, None))
        if uuid:
            self._root_of[uuid] = key
        self._last_inline = key
        return key

    def note_root(self, uuid: str, key: str) -> None:
        """A line that was read with an earlier piece of the file belongs to this thread."""
        self._threads.setdefault(key, _Thread(key, None))
        self._root_of.setdefault(uuid, key)

    def note_call(self, tool_use_id: str, tool: str, arguments: Any, thread_key: str) -> None:
        """A tool call was read; those that start a subagent are remembered."""
        if tool not in SPAWNING_TOOLS or not isinstance(arguments, dict):
            return
        call = _Call(
            tool_use_id,
            thread_key,
            _text(arguments.get("description")) or "",
            _text(arguments.get("subagent_type")),
        )
        self._calls.setdefault(tool_use_id, call)
        if (prompt := arguments.get("prompt")) and isinstance(prompt, str):
            self._calls_by_prompt.setdefault(_digest(prompt), deque()).append(call)

    def note_agent(self, tool_use_id: str, agent_id: str) -> None:
        """A result or progress line says which agent a call started."""
        self._call_of_agent.setdefault(agent_id, tool_use_id)

    def note_prompt(self, thread_key: str, prompt: str) -> None:
        """The first prompt of a thread was read."""
        thread = self._threads.get(thread_key)
        if thread is not None and thread.prompt is None and prompt:
            thread.prompt = _digest(prompt)
            thread.opening = prompt.strip().split("\n", 1)[0]
            self._match(thread)

    def records(self) -> list[ThreadRecord]:
        """The main thread and the subagents', in the order they began, as well named as known."""
        for thread in self._threads.values():
            self._match(thread)
        main = ThreadRecord(MAIN_THREAD, MAIN_THREAD, None)
        return [main, *(self._record(thread) for thread in self._threads.values())]

    def record(self, key: str) -> ThreadRecord:
        """One thread as far as it is known now; its name may get better later."""
        if key == MAIN_THREAD:
            return ThreadRecord(MAIN_THREAD, MAIN_THREAD, None)
        thread = self._threads[key]
        self._match(thread)
        return self._record(thread)

    def _match(self, thread: _Thread) -> None:
        if thread.call is not None:
            return
        tool_use_id = self._call_of_agent.get(thread.agent_id) if thread.agent_id else None
        call = self._calls.get(tool_use_id) if tool_use_id else None
        if call is None and tool_use_id is None and thread.prompt is not None:
            # Equal prompts run in the order they were given.
            waiting = self._calls_by_prompt.get(thread.prompt, ())
            call = next((c for c in waiting if not c.taken and c.thread_key != thread.key), None)
        if call is not None:
            call.taken = True
            thread.call = call

    def _record(self, thread: _Thread) -> ThreadRecord:
        call = thread.call
        agent_type = (call.agent_type if call else None) or thread.agent_type
        name = (call.description if call else "") or thread.description
        if not name:
            name = f"{agent_type} subagent" if agent_type else thread.opening
        if not name:
            name = f"subagent {thread.agent_id}" if thread.agent_id else "subagent"
        parent = call.thread_key if call else MAIN_THREAD
        return ThreadRecord(
            thread.key,
            beginning(name, NAME_LIMIT),
            parent,
            thread.agent_id,
            agent_type,
            call.tool_use_id if call else None,
        )


def _digest(prompt: str) -> bytes:
    return hashlib.sha256(Storable().text(prompt.strip()).encode()).digest()


def _text(value: Any) -> str | None:
    return Storable().text(value, NAME_LIMIT) if isinstance(value, str) and value else None
