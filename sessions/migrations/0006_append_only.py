"""What was said and what happened is not rewritten by the runtime role."""

from django.db import migrations

from config.lib.db.migration import NarrowMigration
from config.lib.db.operations import AppendOnly


class Migration(NarrowMigration):
    dependencies = [("agent_sessions", "0005_session_views")]

    operations = [AppendOnly(["SessionEvent", "Message", "RawLine"])]
