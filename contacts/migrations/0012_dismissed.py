"""What was taken out of what imports could not read stays out, whatever card has it."""

from django.db import migrations, models

from config.lib.db.migration import NarrowMigration


class Migration(NarrowMigration):

    dependencies = [
        ('contacts', '0011_tombstones_of_each'),
    ]

    operations = [
        migrations.AddField(
            model_name='contact',
            name='dismissed',
            field=models.JSONField(blank=True, default=dict, editable=False),
        ),
    ]
