"""What searches compare of rows' metadata, and when they were recorded, on their passages; when a
memory was superseded.

Passages of before get theirs by `manage.py reindex`: what is kept of metadata is decided in Python.
"""

from django.db import migrations, models

from config.lib.db.migration import NarrowMigration

from memory.migrations.sql.search_metadata import BACKWARDS, FORWARDS


class Migration(NarrowMigration):
    dependencies = [("memory", "0010_spaces")]

    operations = [
        migrations.AddField(
            model_name="passage",
            name="metadata",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="passage",
            name="recorded_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="memory",
            name="superseded_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.RunSQL(FORWARDS, BACKWARDS),
    ]
