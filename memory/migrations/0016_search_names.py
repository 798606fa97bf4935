"""What the admin calls receipts: searches. Nothing changes in the database."""

from django.db import migrations

from config.lib.db.migration import NarrowMigration


class Migration(NarrowMigration):
    dependencies = [("memory", "0015_learning")]

    operations = [
        migrations.AlterModelOptions(
            name="receipt",
            options={
                "base_manager_name": "objects",
                "verbose_name": "search",
                "verbose_name_plural": "searches",
            },
        ),
    ]
