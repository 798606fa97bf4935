"""The index of executions that failed."""

from django.db import migrations, models

from config.lib.db.migration import NarrowMigration


class Migration(NarrowMigration):
    dependencies = [
        ("memory", "0006_counts"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="memory",
            index=models.Index(
                condition=models.Q(("data__status", "failed"), ("kind", "task_execution")),
                fields=["workspace", "-recorded_at", "-id"],
                name="memory_execution_failed",
            ),
        ),
    ]
