"""What happened in a session, and the lines it was read from. Both append-only."""

from django.db import models

from config.lib import clock
from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import WorkspaceRow


class SessionEvent(WorkspaceRow):
    """`seq` counts from 1 without gaps in its session, so the last one equals the count.

    `data` is a JSON object whose shape the event type defines; `text` is what search and people
    read of it. `data.message_uuid`, where an import knows it, is the native_uuid of the message
    that says the same. `dedupe_key`, where given, makes a repeated append return the first row.
    """

    session = ScopedForeignKey("agent_sessions.Session", cascade=True, related_name="events")
    seq = models.PositiveIntegerField()
    event_type = models.CharField(max_length=60)
    text = models.TextField(blank=True, max_length=1_000_000)
    data = models.JSONField(default=dict, blank=True)
    occurred_at = models.DateTimeField(default=clock.now)
    dedupe_key = models.CharField(max_length=200, blank=True)

    class Meta(WorkspaceRow.Meta):
        constraints = [
            # a session's events in order, and the cascade from it
            models.UniqueConstraint(
                fields=["workspace", "session", "seq"], name="event_seq_unique"
            ),
            models.UniqueConstraint(
                fields=["workspace", "session", "dedupe_key"],
                condition=~models.Q(dedupe_key=""),
                name="event_dedupe_unique",
            ),
        ]
        indexes = [
            # all events of one type, newest first (errors of the last day)
            models.Index(
                fields=["workspace", "event_type", "-occurred_at", "-id"], name="event_type"
            ),
            # one session's events of one type
            models.Index(
                fields=["workspace", "session", "event_type", "seq"], name="event_session_type"
            ),
            # all events of an hour or a day, newest first, and how many they are
            models.Index(fields=["workspace", "-occurred_at", "-id"], name="event_time"),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.event_type}"


class RawLine(WorkspaceRow):
    """A line of a transcript as it stood in the file, so that a better reader can read it again.

    `line_key` names the line in its session, the same on each reading: its uuid, or its hash and
    how often it came. `digest` is the SHA-256 of its bytes. `raw` is the line as text: bytes that
    are not UTF-8 and NUL stand as backslash escapes.
    """

    session = ScopedForeignKey("agent_sessions.Session", cascade=True, related_name="raw_lines")
    file = models.CharField(max_length=300)
    line_no = models.PositiveIntegerField()
    byte_offset = models.BigIntegerField()
    line_key = models.CharField(max_length=200)
    digest = models.BinaryField(max_length=32)
    raw = models.TextField()

    class Meta(WorkspaceRow.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "session", "line_key"], name="rawline_key_unique"
            ),
        ]
        indexes = [
            # a session's lines in the order of its files
            models.Index(fields=["workspace", "session", "file", "line_no"], name="rawline_order"),
        ]

    def __str__(self) -> str:
        return f"{self.file}:{self.line_no}"
