"""What the admin calls it. Nothing changes in the database."""

from django.db import migrations

from config.lib.db.migration import NarrowMigration


class Migration(NarrowMigration):
    dependencies = [("memory", "0017_standing_memories")]

    operations = [
        migrations.AlterModelOptions(
            name="modeluse",
            options={"base_manager_name": "objects", "verbose_name_plural": "model use"},
        ),
    ]
