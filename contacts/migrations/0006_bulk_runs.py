"""Bulk runs: one action over many rows, done by a job."""

import config.lib.clock
import config.lib.ids
import config.lib.scope
import django.db.models.deletion
from django.db import migrations, models

from config.lib.db.migration import NarrowMigration
from config.lib.db.operations import ScopeTables


class Migration(NarrowMigration):

    dependencies = [
        ('contacts', '0005_seals'),
    ]

    operations = [
        migrations.CreateModel(
            name='BulkRun',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('updated_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('version', models.PositiveIntegerField(default=1, editable=False)),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('model', models.CharField(max_length=60)),
                ('action', models.CharField(max_length=60)),
                ('title', models.CharField(max_length=200)),
                ('query', models.TextField(blank=True, max_length=20000)),
                ('ids', models.JSONField(blank=True, default=list)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('actor_id', models.CharField(max_length=64)),
                ('actor_label', models.CharField(max_length=200)),
                ('ran_by', models.CharField(blank=True, editable=False, max_length=64)),
                ('state', models.CharField(choices=[('proposed', 'Proposed'), ('trying', 'Trying'), ('tried', 'Tried'), ('running', 'Running'), ('done', 'Done'), ('stopped', 'Stopped'), ('undoing', 'Undoing'), ('undone', 'Undone')], default='proposed', max_length=20)),
                ('total', models.PositiveIntegerField()),
                ('at_least', models.BooleanField(default=False)),
                ('cursor', models.UUIDField(blank=True, editable=False, null=True)),
                ('done', models.PositiveIntegerField(default=0, editable=False)),
                ('skipped', models.PositiveIntegerField(default=0, editable=False)),
                ('failed', models.PositiveIntegerField(default=0, editable=False)),
                ('problems', models.JSONField(blank=True, default=list, editable=False)),
                ('tried', models.JSONField(blank=True, default=dict, editable=False)),
                ('ran', models.JSONField(blank=True, default=dict, editable=False)),
                ('started_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('ended_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('beat_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['workspace', '-created_at', '-id'], name='bulkrun_list'), models.Index(condition=models.Q(('state__in', ('trying', 'running', 'undoing'))), fields=['workspace', 'beat_at'], name='bulkrun_active')],
            },
        ),
        ScopeTables(["BulkRun"]),
    ]
