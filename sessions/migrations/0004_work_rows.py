"""Keys and policies of work and attention."""

from django.db import migrations

from config.lib.db.migration import NarrowMigration
from config.lib.db.operations import AppendOnly, ScopeTables


class Migration(NarrowMigration):
    dependencies = [
        ("agent_sessions", "0003_work_and_attention"),
        ("contacts", "0004_contact_rows"),
    ]

    operations = [
        ScopeTables(
            [
                "Task", "Worker", "WorkerDependency", "WorkerOutput", "ScheduledMission",
                "Mission", "Priority", "Ping", "PingChannel", "PingDelivery", "Notification",
                "StagedContent", "Handoff",
            ]
        ),
        AppendOnly(["WorkerOutput"]),
    ]
