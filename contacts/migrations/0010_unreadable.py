"""What imports could not read of a contact's addresses."""

from django.db import migrations, models

from config.lib.db.migration import NarrowMigration


class Migration(NarrowMigration):

    dependencies = [
        ('contacts', '0009_erasure'),
    ]

    operations = [
        migrations.AddField(
            model_name='contact',
            name='unreadable',
            field=models.JSONField(blank=True, default=dict, editable=False),
        ),
    ]
