"""What was archived for being past its time, and the index of what will be."""

from django.db import migrations, models

from config.lib.db.migration import NarrowMigration


class Migration(NarrowMigration):

    dependencies = [
        ('agent_sessions', '0009_long_texts'),
        ('contacts', '0009_erasure'),
        ('memory', '0027_judgements'),
    ]

    operations = [
        migrations.AddField(
            model_name='memory',
            name='expired_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name='memory',
            index=models.Index(condition=models.Q(('expires_at__isnull', False), ('state', 'active')), fields=['workspace', 'expires_at', 'id'], name='memory_expiring'),
        ),
    ]
