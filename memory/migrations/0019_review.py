"""The indexes of what waits for review, and of what was said of one hit."""

from django.db import migrations, models

from config.lib.db.migration import NarrowMigration


class Migration(NarrowMigration):
    dependencies = [
        ("memory", "0018_model_use"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="memory",
            index=models.Index(
                condition=models.Q(
                    ("confidence__lt", 0.3),
                    ("state", "active"),
                    ("trust__in", ("agent", "external")),
                ),
                fields=["workspace", "recorded_at", "id"],
                name="memory_unsure",
            ),
        ),
        migrations.AddIndex(
            model_name="memorylink",
            index=models.Index(
                condition=models.Q(("relation", "contradicts")),
                fields=["workspace", "-id"],
                name="memorylink_contradicts",
            ),
        ),
        migrations.AddIndex(
            model_name="searchfeedback",
            index=models.Index(fields=["workspace", "hit_id", "-id"], name="searchfeedback_hit"),
        ),
    ]
