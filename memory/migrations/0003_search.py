"""Text search under row-level security, and what searches filter by beside it.

PostgreSQL does not use a GIN index under row-level security, because `@@` is not leakproof: the
words of rows that the policy hides would be read first. So words are looked up by functions that
run as a role with a policy of its own, and compare the workspace themselves.
"""

import django.contrib.postgres.fields
from django.db import migrations, models

from config.lib.db.migration import NarrowMigration

from memory.migrations.sql.search_functions import DEFAULT_STORAGE, STATEMENTS, STORAGE


class Migration(NarrowMigration):
    dependencies = [("memory", "0002_workspace_rows")]

    operations = [
        migrations.AddField(
            model_name="passage",
            name="tags",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=100), default=list, size=None
            ),
        ),
        migrations.AddField(
            model_name="passage",
            name="superseded_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="passage",
            name="expires_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name="passage",
            name="lane",
            field=models.PositiveSmallIntegerField(
                choices=[(0, "Interactive"), (1, "Bulk"), (2, "Refused")], default=0
            ),
        ),
        migrations.AddIndex(
            model_name="passage",
            index=models.Index(
                condition=models.Q(("session_id__isnull", False)),
                fields=["workspace", "session_id"],
                name="passage_session",
            ),
        ),
        migrations.RunSQL(STORAGE, DEFAULT_STORAGE),
        *(migrations.RunSQL(forwards, backwards) for forwards, backwards in STATEMENTS),
    ]
