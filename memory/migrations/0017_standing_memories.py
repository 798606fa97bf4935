"""An index of what a briefing tells first: a scan of all that is in no project without it."""

from django.db import migrations, models

from config.lib.db.migration import NarrowMigration


class Migration(NarrowMigration):
    dependencies = [("memory", "0016_search_names")]

    operations = [
        migrations.AddIndex(
            model_name="memory",
            index=models.Index(
                fields=["workspace", "project", "-pinned", "-salience", "-recorded_at", "-id"],
                condition=models.Q(
                    models.Q(
                        ("pinned", True),
                        ("kind__in", ("preference", "procedure", "decision")),
                        _connector="OR",
                    ),
                    ("state", "active"),
                ),
                name="memory_standing",
            ),
        ),
    ]
