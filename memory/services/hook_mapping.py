"""Writes what one payload says: its session, thread, messages and events. Can be run again.

Everything it writes is named by the payload's own id or the tool call's, so that mapping a payload
twice adds nothing. What is said twice by hooks and a transcript: hook_traces.py. Not for order and
failures: hooks.py, which holds the stream's lock around this.
"""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from config.lib import clock
from config.lib.actor import Actor
from contacts.services import funnel
from memory.hooks.forms import Form, Kind, Unmapped
from memory.importers.claude_code.events import head, short
from memory.importers.claude_code.messages import describe_call, result_text
from memory.importers.claude_code.records import MAIN_THREAD
from memory.importers.storable import Storable
from memory.models import HookPayload, HookStream
from memory.models.hooks import TraceKind
from memory.services import hook_traces as traces
from sessions.models import Session, Thread
from sessions.models.session import Outcome, State
from sessions.services import transcripts
from sessions.services.context import warn_of_context
from sessions.services.digested import adopt_digested
from sessions.services.events import NewEvent, append_events
from sessions.services.orphans import ORPHANED, reopen
from sessions.services.sessions import create_session, end_session
from sessions.services.threads import NewMessage, append_messages, create_thread

# What arrives later than this tells of the past: it is no sign of life.
LIVE = timedelta(minutes=10)
# A /clear ends one session and begins the next at once.
CLEARED_WITHIN = timedelta(minutes=2)
# Ends that nobody declared.
GUESSED_ENDS = frozenset({ORPHANED, transcripts.END_REASON})
LONG_AGO = datetime.min.replace(tzinfo=UTC)
STATUS_LIMIT = 500
# Where an object that a tool answered has its words, the first that has any.
_ANSWERS = ("stdout", "stderr", "output", "content", "llmContent", "text", "error", "message")
STATES = {
    Kind.SESSION_START: State.ACTIVE,
    Kind.PROMPT: State.ACTIVE,
    Kind.TOOL_USE: State.TOOL_ACTIVE,
    Kind.TOOL_RESULT: State.ACTIVE,
    Kind.COMPACTION: State.ACTIVE,
    Kind.NOTIFICATION: State.IDLE,
    Kind.STOP: State.IDLE,
}


def apply(*, stream: HookStream, row: HookPayload, form: Form) -> Session | None:
    """Write `form`, which `row` says, under the stream's lock; its session. Raises Unmapped."""
    if form.kind is Kind.KNOWN:
        return stream.session
    if not row.session_name:
        raise Unmapped("names no session")
    if row.agent is None:
        raise Unmapped("the agent whose key sent it is gone")
    return _Mapping(stream, row, form).run()


class _Mapping:
    """One payload's own."""

    def __init__(self, stream: HookStream, row: HookPayload, form: Form) -> None:
        self.stream, self.row, self.form = stream, row, form
        # What was mapped before and is mapped again tells of the past, however fresh it is.
        self.again = row.session_id is not None
        self.live = not self.again and clock.now() - row.occurred_at < LIVE
        assert row.agent is not None  # apply() has looked
        self.agent = row.agent
        self.actor = Actor(
            "key",
            str(row.key_id or ""),
            f"{self.agent.name} (hook)",
            "hook" if self.live else "import",
            "",
            row.agent_id,
        )
        self.key = f"hook:{row.pk.hex}"

    def run(self) -> Session:
        form = self.form
        session = self._session()
        self._reopen(session)
        match form.kind:
            case Kind.PROMPT:
                self._prompt(session)
            case Kind.REPLY:
                self._reply(session)
            case Kind.TOOL_USE | Kind.TOOL_RESULT:
                self._tool(session)
            case Kind.SUBAGENT_START | Kind.SUBAGENT_STOP:
                self._subagent(session)
            case Kind.COMPACTION:
                self._compaction(session)
            case Kind.STOP:
                self._stop(session)
            case Kind.STATUS:
                if self.live:
                    funnel.touch(session, last_seen_at=max(clock.now(), session.last_seen_at))
            case Kind.SESSION_END if session.ended_at and session.end_reason == form.detail[:60]:
                pass  # said once more: Gemini CLI does so three times
            case Kind.NOTE:
                self._append(session, self._event(form.note, head(form.text)))
            case _:
                text = form.text or form.detail
                self._append(session, self._event(form.kind.value, head(text)))
        self._note(session)
        if form.kind is Kind.SESSION_END:
            self._end(session)
        return session

    # --- the session --------------------------------------------------------------------------

    def _session(self) -> Session:
        """The stream's, made on its first payload, locked."""
        row, form, stream = self.row, self.form, self.stream
        if stream.session_id is not None:
            return funnel.get_row(Session, stream.session_id, lock=True)
        cwd = form.cwd
        project = transcripts.ensure_project_of_folder(actor=self.actor, path=cwd)
        fields: dict[str, Any] = {
            "cwd": cwd,
            "repo_root": cwd,
            "branch": form.branch[:300],
            "model": form.model[:120],
            "host": row.host,
            "name": form.title[:300],
            "started_at": row.occurred_at,
            "conversation_id": self._conversation(project),
        }
        if row.dialect == "claude-code":
            fields["claude_session_id"] = row.session_name[:120]
        adopt_digested(actor=self.actor, source=row.dialect, names=[row.session_name])
        session, is_new = create_session(
            actor=self.actor,
            agent=self.agent,
            source=row.dialect,
            external_id=row.session_name,
            project=project,
            **fields,
        )
        has_transcript = stream.has_transcript or (not is_new and session.message_count > 0)
        funnel.touch(stream, session_id=session.pk, has_transcript=has_transcript)
        return funnel.get_row(Session, session.pk, lock=True)

    def _conversation(self, project: uuid.UUID | None) -> str:
        """The agent's word for it; after a /clear that of the session just cleared; else a new one.

        Index session_agent, or session_project.
        """
        form, row = self.form, self.row
        if form.conversation_id:
            return form.conversation_id.replace("/", "-")
        if form.kind is not Kind.SESSION_START or form.detail != "clear" or project is None:
            return ""
        here = Session.objects.filter(
            agent_id=self.agent.pk, project_id=project, host=row.host
        ).order_by("-started_at", "-id")
        since = row.occurred_at - CLEARED_WITHIN
        found = here.filter(end_reason="clear", ended_at__gte=since).first()
        if found is not None:
            return found.conversation_id
        # Its end may still be on its way, or come when the program ends (Codex); of several
        # conversations that run, nobody can say which it was.
        running = here.filter(ended_at=None).order_by().values_list("conversation_id", flat=True)
        names = list(running.distinct()[:2])
        return names[0] if len(names) == 1 else ""

    def _reopen(self, session: Session) -> None:
        """An ended session that is begun or spoken to again goes on; a guessed end gives way to any
        sign of life. What happened before the end, and came after it, opens nothing."""
        if self.again:
            return
        form, at = self.form, self.row.occurred_at
        if form.kind is Kind.SESSION_START and at > (self.stream.last_start_at or LONG_AGO):
            funnel.touch(self.stream, last_start_at=at)
        if session.ended_at is None or at <= session.ended_at:
            return
        asked = form.kind in (Kind.SESSION_START, Kind.PROMPT)
        if asked or (self.live and session.end_reason in GUESSED_ENDS):
            reopen(actor=self.actor, session=session, action="resume")

    def _end(self, session: Session) -> None:
        form, at = self.form, self.row.occurred_at
        # Of a run before the one that goes on now: it was on its way for longer than the start.
        if self.again or at < (self.stream.last_start_at or LONG_AGO):
            return
        end_session(
            actor=self.actor,
            session_id=session.pk,
            reason=form.detail[:60],
            outcome=form.outcome if form.outcome in Outcome.values else None,
            ended_at=max(at, session.started_at),
        )

    def _note(self, session: Session) -> None:
        """Telemetry, and the name that the agent gave where nobody did."""
        form = self.form
        if form.title and not session.name:
            funnel.update(session, {"name": form.title[:300]}, actor=self.actor)
        told: dict[str, Any] = {
            "cwd": "" if form.subagent else form.cwd,
            "model": "" if form.subagent else form.model[:120],
            "branch": form.branch[:300],
        }
        changes = {k: v for k, v in told.items() if v and getattr(session, k) != v}
        if self.live:
            if form.context_percent is not None and not form.subagent:
                changes["context_used_percent"] = form.context_percent
            if form.kind is Kind.NOTIFICATION:
                changes["status_text"] = " ".join(form.text.split())[:STATUS_LIMIT]
            elif form.kind is Kind.PROMPT:
                changes["status_text"] = ""
            if session.ended_at is None and form.kind in STATES:
                changes["current_state"] = STATES[form.kind]
        if changes:
            funnel.touch(session, **changes)
            warn_of_context(actor=self.actor, session=session)

    # --- what happened in it --------------------------------------------------------------------

    def _event(self, event_type: str, text: str = "", *, key: str = "", **data: Any) -> NewEvent:
        form = self.form
        common: dict[str, Any] = {
            "hook": self.row.event,
            "detail": form.detail,
            "prompt_id": form.prompt_id,
            "subagent": form.subagent,
            "subagent_type": form.subagent_type,
            "claimed_at": self.row.claimed_at.isoformat() if self.row.claimed_at else "",
        }
        if self.stream.has_transcript and form.kind in (Kind.TOOL_USE, Kind.TOOL_RESULT):
            # Its words are searched for there.
            common["in_transcript"] = True
        told = {k: v for k, v in {**common, **form.data, **data}.items() if v not in (None, "")}
        return NewEvent(
            event_type=event_type[:60],
            text=text,
            data=short(told, Storable()),
            occurred_at=self.row.occurred_at,
            dedupe_key=(key or self.key)[:200],
        )

    def _append(self, session: Session, *events: NewEvent) -> None:
        append_events(actor=self.actor, session_id=session.pk, events=events)

    def _say(self, session: Session, role: str, kind: TraceKind, text: str) -> str:
        """The message, once: here, or where the transcript has it. Its native_uuid."""
        form = self.form
        native_id = form.prompt_id if kind is TraceKind.PROMPT else ""
        if self.stream.has_transcript and not self.again:
            found = traces.find_message(
                session_id=session.pk, role=role, native_id=native_id, text=text
            )
            if found is not None:
                traces.leave_trace(
                    session_id=session.pk, kind=kind, native_id=native_id, text=text,
                    line_key=found.native_uuid,
                )  # fmt: skip
                return found.native_uuid
        message = NewMessage(
            role=role,
            content=text,
            blocks=[{"type": "text", "text": text}],
            native_uuid=self.key,
            model=form.model[:120] if role == "assistant" else "",
            occurred_at=self.row.occurred_at,
            metadata={"kind": kind.value, "hook": self.row.event}
            | ({"prompt_id": native_id} if native_id else {}),
        )
        _, new = append_messages(
            actor=self.actor, thread_id=self._thread(session), messages=[message], spoken=self.live
        )
        if new:
            traces.leave_trace(session_id=session.pk, kind=kind, native_id=native_id, text=text)
        return self.key

    def _prompt(self, session: Session) -> None:
        text = self.form.text
        if not text:
            self._append(session, self._event("user_prompt"))
            return
        if self.again and session.events.filter(dedupe_key=self.key).exists():
            return
        said = self._say(session, "user", TraceKind.PROMPT, text)
        self._append(session, self._event("user_prompt", head(text), message_uuid=said))

    def _reply(self, session: Session) -> None:
        """The transcript, where there is one, has it in its place among the calls."""
        if self.form.text and not self.stream.has_transcript and not self.again:
            self._say(session, "assistant", TraceKind.REPLY, self.form.text)

    def _stop(self, session: Session) -> None:
        self._reply(session)
        self._append(session, self._event("turn_end"))

    def _tool(self, session: Session) -> None:
        """The call, and its result where this says it; a result brings the call with it, in case
        that no hook told of it. Named by the call's id, as a transcript names them."""
        form = self.form
        arguments = form.tool_input
        call = self._event(
            "tool_use",
            describe_call(form.tool, arguments),
            key=f"tool_use:{form.tool_use_id}" if form.tool_use_id else "",
            tool=form.tool,
            tool_use_id=form.tool_use_id,
            input=arguments if isinstance(arguments, dict) else {"value": arguments},
        )
        if form.kind is Kind.TOOL_USE:
            self._append(session, call)
            return
        text = _result_text(form.tool_result)
        result = self._event(
            "tool_result",
            head(text),
            key=f"tool_result:{form.tool_use_id}" if form.tool_use_id else "",
            tool=form.tool,
            tool_use_id=form.tool_use_id,
            is_error=form.is_error,
            size=len(text),
            duration_ms=form.duration_ms,
        )
        self._append(session, *([call] if form.tool_use_id else []), result)

    def _subagent(self, session: Session) -> None:
        form = self.form
        if form.subagent:
            self._thread(session)
            if form.kind is Kind.SUBAGENT_STOP:
                self._reply(session)
        self._append(session, self._event(form.kind.value, form.subagent_type))

    def _compaction(self, session: Session) -> None:
        """Its event; the transcript's own, where that came first."""
        if self.again:
            return
        found = None
        if self.stream.has_transcript:
            found = traces.find_compaction(session_id=session.pk)
        if found is None:
            text = f"Conversation compacted ({self.form.detail or 'auto'})"
            _, new = append_events(
                actor=self.actor, session_id=session.pk, events=[self._event("compaction", text)]
            )
            if not new:
                return
        traces.leave_trace(
            session_id=session.pk,
            kind=TraceKind.COMPACTION,
            native_id="",
            text="",
            line_key="" if found is None else found.dedupe_key,
        )

    def _thread(self, session: Session) -> uuid.UUID:
        """The main thread, or the subagent's under it, named as an import of transcripts does."""
        main = self._thread_of(session, MAIN_THREAD, MAIN_THREAD, None)
        form = self.form
        if not form.subagent:
            return main
        name = f"{form.subagent_type} subagent" if form.subagent_type else "subagent"
        return self._thread_of(session, f"agent:{form.subagent}", name, main)

    def _thread_of(
        self, session: Session, key: str, name: str, parent_id: uuid.UUID | None
    ) -> uuid.UUID:
        external_id = f"{self.row.session_name}/{key}"[:300]
        found = (
            Thread.objects.filter(source=self.row.dialect, external_id=external_id)
            .values_list("pk", flat=True)
            .first()
        )
        if found is not None:
            return found
        metadata = {"imported_name": name}
        if parent_id is not None:
            metadata |= {
                "agent_id": self.form.subagent,
                "agent_type": self.form.subagent_type,
            }
        return create_thread(
            actor=self.actor,
            session_id=session.pk,
            name=name,
            parent_id=parent_id,
            source=self.row.dialect,
            external_id=external_id,
            metadata=metadata,
        ).pk


def _result_text(result: Any) -> str:
    """What a tool answered, as text: agents send a text, blocks, or an object of their own."""
    if isinstance(result, dict):
        for name in _ANSWERS:
            text = result_text(result.get(name))
            if text:
                return Storable().text(text)
        return ""
    return Storable().text(result_text(result))
