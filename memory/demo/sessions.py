"""Plays sessions: begun, spoken in turn by turn, resumed, ended or left alone."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from config.lib.actor import Actor
from contacts.services import funnel
from memory.demo.stage import LATEST, Stage
from memory.demo.stories import Story
from memory.demo.transcript import Said, StoryError, read_span, read_transcript
from sessions.models import Session, Thread
from sessions.services.events import NewEvent, append_events
from sessions.services.orphans import end_orphans
from sessions.services.sessions import (
    CHIEF,
    beat,
    create_session,
    end_session,
    resume_session,
    update_session,
)
from sessions.services.threads import NewMessage, append_messages, create_thread
from sessions.services.transcripts import add_usage

# Seconds until somebody has said or done it, from and to.
TAKES = {
    "user": (35, 260), "think": (4, 15), "agent": (8, 40), "tool": (2, 9), "result": (1, 30),
    "error": (1, 45), "note": (0, 1),
}  # fmt: skip
# US dollars for a million tokens: input, output, written to the cache, read from it.
PRICES = {
    "claude-opus-4-5": (5.0, 25.0, 6.25, 0.5),
    "claude-sonnet-4-5": (3.0, 15.0, 3.75, 0.3),
    "gpt-5-codex": (1.25, 10.0, 0.0, 0.125),
    "gemini-2.5-pro": (1.25, 10.0, 0.0, 0.31),
}
# A turn's first request reads the system prompt and the tools, which stand in the cache.
SYSTEM_TOKENS, WINDOW = 14_200, 200_000
CHARACTERS_PER_TOKEN = 3.6
# What people read of a prompt or a result in the list of events.
SHOWN = 400
LIVE = ("active", "tool_active", "idle")
_SAID_BY = {"user": "user", "note": "system", "result": "tool", "error": "tool"}


@dataclass(slots=True)
class _Turn:
    """What is written at once: a person's words and all that the agent did about them."""

    said: list[tuple[datetime, Said]] = field(default_factory=list)
    ends: bool = False
    resumes: bool = False


def put_on(stage: Stage, story: Story) -> None:
    """Put a session's begin, its turns and its end on the stage."""
    _Playing(stage, story).put_on()


class _Playing:
    def __init__(self, stage: Stage, story: Story) -> None:
        self.stage = stage
        self.key: str = story.need("key")
        self.where = story.where
        self.by: str = story.need("agent")
        self.start = stage.moment(story.need("start"))
        self.end: str = story.pop("end", "success")
        self.context: float = story.pop("context", 0)
        self.status: str = story.pop("status", "")
        self.summary: str | None = story.pop("summary", None)
        self.project: str = story.pop("project", "")
        self.parent: str = story.pop("parent", "")
        self.threads: list[dict[str, Any]] = story.pop("thread", [])
        self.talk = read_transcript(story.need("talk"), where=story.where)
        self.fields = story.take(
            "name", "role", "mode", "model", "host", "branch", "cwd", "repo_root", "tmux_window",
            "tmux_pane", "conversation_id",
        )  # fmt: skip
        story.done()
        self.model: str = self.fields.get("model", "")
        self.dice = stage.dice(f"session {self.key}")
        if self.fields.get("role") != CHIEF:
            # As it would be drawn, but the same each time.
            drawn = f"{self.fields.get('role', 'session')}-{self.dice.getrandbits(32):08x}"
            self.fields.setdefault("conversation_id", drawn)
        self.turns = self._timed(self.talk, self.start)
        self.held = 0
        self.cost = Decimal(0)
        self.calls = 0

    def put_on(self) -> None:
        stage = self.stage
        stage.at(self.start, self._begin)
        for number, turn in enumerate(self.turns, 1):
            share = number / len(self.turns)
            stage.at(turn.said[-1][0], lambda turn=turn, share=share: self._turn(turn, share))  # type: ignore[misc]
        last = self.turns[-1].said[-1][0]
        if self.end in LIVE:
            stage.at(stage.now - LATEST, self._live)
        elif self.end == "orphaned":
            stage.at(last + timedelta(hours=2, minutes=5), lambda: _tidy(self))
        else:
            stage.at(min(last + timedelta(seconds=50), stage.now), self._end)

    # --- Time -------------------------------------------------------------------------------

    def _timed(self, talk: Sequence[Said], start: datetime) -> list[_Turn]:
        """Turns with a time for each thing said, none of them to come."""
        turns, at = [_Turn()], start
        for said in talk:
            if said.kind == "wait":
                at += read_span(said.about)
                continue
            if said.kind == "until":
                turns[-1].ends = True
                turns.append(_Turn(resumes=True))
                at = self.stage.moment(said.about)
                continue
            if said.kind == "user" and any(one.kind != "note" for _, one in turns[-1].said):
                turns.append(_Turn())
            at += timedelta(seconds=self.dice.uniform(*TAKES[said.kind]))
            turns[-1].said.append((at, said))
        if not all(turn.said for turn in turns):
            raise StoryError(f"{self.where}: nothing is said")
        room = self.stage.now - LATEST * 2 - start
        if at - start > room:
            shrunk = room / (at - start)
            for turn in turns:
                turn.said = [(start + (when - start) * shrunk, one) for when, one in turn.said]
        return turns

    # --- Playing ----------------------------------------------------------------------------

    @property
    def actor(self) -> Actor:
        return self.stage.actor(self.by)

    def _begin(self) -> None:
        session, _ = create_session(
            actor=self.actor,
            agent=self.stage.agent(self.by),
            project=self.stage.id_of("project", self.project),
            parent_id=self.stage.id_of("session", self.parent),
            claude_session_id=str(uuid.UUID(int=self.dice.getrandbits(128), version=4)),
            **self.fields,
        )
        self.session_id = session.id
        self.stage.keep(f"session:{self.key}", session)
        thread = create_thread(actor=self.actor, session_id=session.id, name="main")
        self.thread_id = thread.id
        begun = NewEvent("session_start", f"Session began on {session.host}".strip())
        append_events(actor=self.actor, session_id=session.id, events=[begun])

    def _turn(self, turn: _Turn, share: float) -> None:
        if turn.resumes:
            resume_session(actor=self.actor, session_id=self.session_id)
        self._say(self.thread_id, turn.said)
        ended = NewEvent("turn_end")
        append_events(actor=self.actor, session_id=self.session_id, events=[ended])
        if self.context:
            beat(
                actor=self.actor, session_id=self.session_id, current_state="idle",
                context_used_percent=round(self.context * share, 1), at=self.stage.clock.moment,
            )  # fmt: skip
        if turn.ends:
            end_session(actor=self.actor, session_id=self.session_id, reason="exit")

    def _say(self, thread_id: uuid.UUID, said: Sequence[tuple[datetime, Said]]) -> None:
        """Messages, the events beside them, and what they used."""
        messages, events, named = [], [], []
        call = ""
        for at, one in said:
            if one.kind == "tool":
                self.calls += 1
                call = f"toolu_{self.key}_{self.calls:02d}"
            messages.append(self._message(one, call, at))
            events += self._events(one, call, at)
            if one.name:
                named.append((len(messages) - 1, one.name, call, at))
        rows, _ = append_messages(actor=self.actor, thread_id=thread_id, messages=messages)
        append_events(actor=self.actor, session_id=self.session_id, events=events)
        session = funnel.get_row(Session, self.session_id, lock=True)
        add_usage([(session, [message.usage for message in messages])])
        if self.cost:
            update_session(
                actor=self.actor, session_id=self.session_id, changes={"cost_usd": self.cost}
            )
        for place, name, call, at in named:
            self.stage.keep(f"message:{self.key}#{name}", rows[place])
            self._subagent(name, call, at)

    def _subagent(self, name: str, call: str, at: datetime) -> None:
        """The thread that a call began, if the story tells of one."""
        for told in self.threads:
            if told["of"] != name:
                continue
            thread: Thread = create_thread(
                actor=self.actor, session_id=self.session_id, parent_id=self.thread_id,
                name=told["name"], metadata={"tool_use_id": call},
            )  # fmt: skip
            talk = read_transcript(told["talk"], where=f"{self.where}, thread {told['name']}")
            step = timedelta(seconds=3)
            self._say(thread.id, [(at + step * n, one) for n, one in enumerate(talk)])

    def _message(self, one: Said, call: str, at: datetime) -> NewMessage:
        block: dict[str, Any]
        content = one.text
        if one.kind == "think":
            block, content = {"type": "thinking", "thinking": one.text}, ""
        elif one.kind == "tool":
            tool, given = one.call()
            block, content = {"type": "tool_use", "id": call, "name": tool, "input": given}, ""
        elif one.kind in ("result", "error"):
            failed = {"is_error": True} if one.kind == "error" else {}
            block = {"type": "tool_result", "tool_use_id": call, "content": one.text, **failed}
            content = ""
        else:
            block = {"type": "text", "text": one.text}
        role = _SAID_BY.get(one.kind, "assistant")
        used = self._usage(one, role)
        return NewMessage(
            role=role, content=content, blocks=[block], occurred_at=at, usage=used,
            model=self.model if role == "assistant" else "",
        )  # fmt: skip

    def _usage(self, one: Said, role: str) -> dict[str, int]:
        """What a request of this length uses; the price of it is added up."""
        size = int(len(one.text) / CHARACTERS_PER_TOKEN) + 20
        if role != "assistant" or self.model not in PRICES:
            self.held += size
            return {}
        used = {
            "input_tokens": self.dice.randint(3, 40),
            "output_tokens": size + self.dice.randint(10, 120),
            "cache_creation_input_tokens": self.held + self.dice.randint(200, 1500),
            "cache_read_input_tokens": SYSTEM_TOKENS + self.calls * self.dice.randint(900, 2200),
        }
        self.held = 0
        prices = zip(used.values(), PRICES[self.model], strict=True)
        self.cost += Decimal(str(round(sum(n * price for n, price in prices) / 1e6, 6)))
        return used

    def _events(self, one: Said, call: str, at: datetime) -> list[NewEvent]:
        shown = " ".join(one.text.split())[:SHOWN]
        if one.kind == "user":
            return [NewEvent("user_prompt", shown, occurred_at=at)]
        if one.kind == "tool":
            tool, given = one.call()
            telling = next(iter(given.values()), "")
            data = {"tool": tool, "tool_use_id": call, "input": given}
            text = f"{tool}: {' '.join(telling.split())[:SHOWN]}"
            return [NewEvent("tool_use", text, data, at, f"tool_use:{call}")]
        if one.kind in ("result", "error"):
            failed = one.kind == "error"
            back: dict[str, Any] = {
                "tool_use_id": call, "is_error": failed, "size": len(one.text),
            }  # fmt: skip
            return [NewEvent("tool_result", shown, back, at, f"tool_result:{call}")]
        return []

    def _live(self) -> None:
        beat(
            actor=self.actor, session_id=self.session_id, current_state=self.end,
            status_text=self.status, context_used_percent=self.context or None,
            at=self.stage.clock.moment - timedelta(seconds=self.dice.randint(0, 90)),
        )  # fmt: skip

    def _end(self) -> None:
        reasons = {"reset": "clear", "failure": "error"}
        outcome = self.end if self.end in ("success", "failure", "unknown") else None
        reason = reasons.get(self.end, "exit")
        ended = NewEvent("session_end", f"Session ended: {reason}")
        append_events(actor=self.actor, session_id=self.session_id, events=[ended])
        end_session(
            actor=self.actor, session_id=self.session_id, reason=reason, outcome=outcome,
            summary=self.summary,
        )  # fmt: skip


def _tidy(playing: _Playing) -> None:
    """As the periodic job does."""
    end_orphans(actor=Actor("job", "sessions.end_orphans", "orphans", "job"))
