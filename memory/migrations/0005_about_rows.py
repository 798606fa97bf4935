"""Keys and policies of what memories are about, and of the index's and evidence's new sources."""

from django.db import migrations

from config.lib.db.migration import NarrowMigration
from config.lib.db.operations import ScopeField, ScopeTables


class Migration(NarrowMigration):
    dependencies = [
        ("memory", "0004_about_and_more_sources"),
        ("agent_sessions", "0004_work_rows"),
        ("contacts", "0004_contact_rows"),
    ]

    operations = [
        ScopeTables(["MemoryAbout"]),
        ScopeField("Evidence", "task"),
        ScopeField("Evidence", "mission"),
        ScopeField("Passage", "of_task"),
        ScopeField("Passage", "of_contact"),
    ]
