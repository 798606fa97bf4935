"""Keys and policies of the workspace tables."""

from django.db import migrations

from config.lib.db.migration import NarrowMigration
from config.lib.db.operations import ScopeTables


class Migration(NarrowMigration):
    dependencies = [
        ("agent_sessions", "0001_initial"),
        ("contacts", "0002_workspace_rows"),
    ]

    operations = [
        ScopeTables(["Project", "Session", "SessionEvent", "RawLine", "Thread", "Message"]),
    ]
