"""An import that was taken back is a unit, too, which can be brought back."""

from django.db import migrations, models

from config.lib.db.migration import NarrowMigration


class Migration(NarrowMigration):

    dependencies = [
        ('memory', '0025_consolidation'),
    ]

    operations = [
        migrations.AlterField(
            model_name='unlearning',
            name='kind',
            field=models.CharField(choices=[('session', 'Session'), ('worker', 'Worker'), ('key', 'Key'), ('run', 'Run'), ('import', 'Import')], max_length=20),
        ),
        migrations.AlterField(
            model_name='unlearning',
            name='state',
            field=models.CharField(choices=[('proposed', 'Proposed'), ('running', 'Running'), ('done', 'Done'), ('undone', 'Undone')], default='proposed', editable=False, max_length=20),
        ),
    ]
