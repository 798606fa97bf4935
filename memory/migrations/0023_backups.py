"""Backups of the whole database: when, where, and whether they were tried."""

import config.lib.clock
import config.lib.ids
from django.db import migrations, models

from config.lib.db.migration import NarrowMigration


class Migration(NarrowMigration):

    dependencies = [
        ('memory', '0022_import_page'),
    ]

    operations = [
        migrations.CreateModel(
            name='Backup',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('path', models.CharField(blank=True, max_length=2000)),
                ('bytes', models.PositiveBigIntegerField(default=0)),
                ('sha256', models.CharField(blank=True, max_length=64)),
                ('kept', models.BooleanField(default=True)),
                ('error', models.TextField(blank=True, max_length=20000)),
                ('started_at', models.DateTimeField(default=config.lib.clock.now)),
                ('ended_at', models.DateTimeField(default=config.lib.clock.now)),
                ('verified_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'indexes': [models.Index(fields=['-started_at'], name='backup_list')],
            },
        ),
    ]
