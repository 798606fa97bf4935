"""Limits of keys, what they do in a day, and what a workspace's rows take."""

import config.lib.clock
import config.lib.db.fields
import config.lib.ids
import config.lib.scope
import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

from config.lib.db.migration import NarrowMigration
from config.lib.db.operations import ScopeTables


def _workspace():
    return models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')


def _own():
    return [
        ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
        ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
    ]


class Migration(NarrowMigration):

    dependencies = [
        ('contacts', '0007_members_by_group'),
    ]

    operations = [
        migrations.AddField('apikey', 'rate_limit', models.FloatField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(100000.0)])),
        migrations.AddField('apikey', 'burst_limit', models.PositiveIntegerField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(1)])),
        migrations.AddField('apikey', 'daily_rows', models.PositiveBigIntegerField(blank=True, null=True)),
        migrations.AddField('apikey', 'daily_bytes', models.PositiveBigIntegerField(blank=True, null=True)),
        migrations.AddField('apikey', 'bucket_tokens', models.FloatField(db_default=0, default=0, editable=False)),
        migrations.AddField('apikey', 'bucket_at', models.FloatField(db_default=0, default=0, editable=False)),
        migrations.AddField('apikey', 'bucket_granted', models.IntegerField(db_default=0, default=0, editable=False)),
        migrations.CreateModel(
            name='UsageDay',
            fields=[
                *_own(),
                ('day', models.DateField()),
                ('requests', models.PositiveBigIntegerField(default=0)),
                ('rows', models.PositiveBigIntegerField(default=0)),
                ('bytes', models.PositiveBigIntegerField(default=0)),
                ('workspace', _workspace()),
                ('api_key', config.lib.db.fields.ScopedForeignKey(cascade=True, related_name='usage', to='contacts.apikey')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['workspace', 'api_key', '-day'], name='usageday_key')],
                'constraints': [models.UniqueConstraint(fields=('workspace', 'day', 'api_key'), name='usageday_unique')],
            },
        ),
        migrations.CreateModel(
            name='StorageCount',
            fields=[
                *_own(),
                ('tables', models.JSONField(default=dict)),
                ('bytes', models.PositiveBigIntegerField(default=0)),
                ('added', models.PositiveBigIntegerField(default=0)),
                ('measured_at', models.DateTimeField()),
                ('seconds', models.FloatField(default=0)),
                ('workspace', _workspace()),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('workspace',), name='storagecount_unique')],
            },
        ),
        ScopeTables(["UsageDay", "StorageCount"]),
    ]
