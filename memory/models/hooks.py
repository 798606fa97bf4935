"""What agents' hooks and transcript uploads leave: raw payloads, and where each session stands."""

from django.db import models

from config.lib import clock
from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import WorkspaceRow


class PayloadState(models.TextChoices):
    WAITING = "waiting"
    MAPPED = "mapped"
    UNMAPPED = "unmapped"
    FAILED = "failed"


class HookStream(WorkspaceRow):
    """One session as its agent names it: the lock under which its payloads and the lines of its
    transcript are written, in order.

    `fresh_since` is when the agent last lost its context: what it was given before counts no more.
    `last_start_at` is when it was last begun: an end from before that ends nothing.
    """

    dialect = models.CharField(max_length=40)
    session_name = models.CharField(max_length=300)
    session = ScopedForeignKey(
        "agent_sessions.Session", cascade=True, null=True, related_name="hook_streams"
    )
    has_transcript = models.BooleanField(default=False)
    fresh_since = models.DateTimeField(null=True)
    last_start_at = models.DateTimeField(null=True)

    class Meta(WorkspaceRow.Meta):
        constraints = [
            # the stream of a payload
            models.UniqueConstraint(
                fields=["workspace", "dialect", "session_name"], name="hookstream_unique"
            ),
        ]
        indexes = [
            # a session's streams, and the cascade from it
            models.Index(
                fields=["workspace", "session"],
                condition=models.Q(session__isnull=False),
                name="hookstream_session",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dialect} {self.session_name}"


class HookPayload(WorkspaceRow):
    """One call of a hook as it came, secrets redacted; `created_at` is when it was received.

    `payload` is its JSON object; where the body held none, `raw` is the body as text. `dialect` is
    the agent's kind in the address, `event` its own name of the event. (dialect, session_name,
    event, dedupe_key) is the payload's identity: said again, only `repeats` grows. `occurred_at`
    is when it happened by our clock, `claimed_at` by the agent's. `answer` is what the agent was
    given: {receipt_id, tokens, rows, notices}, ids only; `answered` says that there is one.
    """

    agent = ScopedForeignKey("contacts.Agent", null=True, related_name="hook_payloads")
    key_id = models.UUIDField(null=True)
    dialect = models.CharField(max_length=40)
    session_name = models.CharField(max_length=300, blank=True)
    event = models.CharField(max_length=80, blank=True)
    dedupe_key = models.CharField(max_length=200)
    payload = models.JSONField(default=dict)
    raw = models.TextField(blank=True)
    host = models.CharField(max_length=300, blank=True)
    occurred_at = models.DateTimeField(default=clock.now)
    claimed_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=20, choices=PayloadState, default=PayloadState.WAITING)
    reason = models.CharField(max_length=500, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    repeats = models.PositiveIntegerField(default=0)
    mapped_at = models.DateTimeField(null=True)
    session = ScopedForeignKey(
        "agent_sessions.Session", cascade=True, null=True, related_name="hook_payloads"
    )
    answer = models.JSONField(default=dict)
    answered = models.BooleanField(default=False)

    class Meta(WorkspaceRow.Meta):
        constraints = [
            # also the list of one session as its agent names it
            models.UniqueConstraint(
                fields=["workspace", "session_name", "dialect", "event", "dedupe_key"],
                name="hookpayload_unique",
            ),
        ]
        indexes = [
            # the list, newest first, and what is past its time
            models.Index(fields=["workspace", "-created_at", "-id"], name="hookpayload_list"),
            # what waits to be mapped, in order; nearly always next to nothing
            models.Index(
                fields=["workspace", "id"],
                condition=models.Q(state=PayloadState.WAITING),
                name="hookpayload_waiting",
            ),
            # what one session was given
            models.Index(
                fields=["workspace", "dialect", "session_name", "id"],
                condition=models.Q(answered=True),
                name="hookpayload_answered",
            ),
            # what could not be mapped, newest first
            models.Index(
                fields=["workspace", "-created_at", "-id"],
                condition=models.Q(state__in=[PayloadState.UNMAPPED, PayloadState.FAILED]),
                name="hookpayload_left",
            ),
            # one agent's, and nulling when it goes
            models.Index(
                fields=["workspace", "agent", "-created_at", "-id"], name="hookpayload_agent"
            ),
            # one session's, and the cascade from it
            models.Index(
                fields=["workspace", "session", "-created_at", "-id"],
                condition=models.Q(session__isnull=False),
                name="hookpayload_session",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dialect} {self.event or 'payload'}"


class TraceKind(models.TextChoices):
    PROMPT = "prompt"
    REPLY = "reply"
    COMPACTION = "compaction"


class HookTrace(WorkspaceRow):
    """Something that a hook told of, and its line in the transcript, once both are known.

    Of the two, whoever comes first writes the row; the other finds it here. `native_id` is the
    agent's id of it, `digest` the SHA-256 of its text; `line_key` names the transcript's message
    or event, empty until it comes.
    """

    session = ScopedForeignKey("agent_sessions.Session", cascade=True, related_name="hook_traces")
    kind = models.CharField(max_length=20, choices=TraceKind)
    native_id = models.CharField(max_length=200, blank=True)
    digest = models.CharField(max_length=64, blank=True)
    line_key = models.CharField(max_length=200, blank=True)

    class Meta(WorkspaceRow.Meta):
        indexes = [
            # those that still wait for their line, oldest first; and the cascade
            models.Index(
                fields=["workspace", "session", "kind", "line_key", "id"], name="hooktrace_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.native_id or self.digest[:12]}"


class Transcript(WorkspaceRow):
    """A transcript file that is uploaded piece by piece, as far as it was taken.

    `taken` is the byte after the last whole line that was, `next_line` the number of the line that
    begins there. `check_digest` is the SHA-256 of the bytes from `check_from` to `taken`, the last
    line: where the file has others there, it was rewritten, and is read from its start as the next
    `generation`. `seen` is how long the file is known to be; `gaps` lists [from, to] of what its
    sender could not send.
    """

    dialect = models.CharField(max_length=40)
    session_name = models.CharField(max_length=300)
    file = models.CharField(max_length=300)
    subagent = models.CharField(max_length=120, blank=True)
    session = ScopedForeignKey(
        "agent_sessions.Session", cascade=True, null=True, related_name="transcripts"
    )
    taken = models.BigIntegerField(default=0)
    next_line = models.PositiveIntegerField(default=1)
    check_from = models.BigIntegerField(default=0)
    check_digest = models.CharField(max_length=64, blank=True)
    generation = models.PositiveIntegerField(default=1)
    seen = models.BigIntegerField(default=0)
    gaps = models.JSONField(default=list, blank=True)
    updated_at = models.DateTimeField(default=clock.now)

    class Meta(WorkspaceRow.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "dialect", "session_name", "file"], name="transcript_unique"
            ),
        ]
        indexes = [
            # a session's files, and the cascade from it
            models.Index(
                fields=["workspace", "session"],
                condition=models.Q(session__isnull=False),
                name="transcript_session",
            ),
        ]

    def __str__(self) -> str:
        return self.file
