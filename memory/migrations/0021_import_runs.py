"""Runs of imports: what they read and what came of it."""

import config.lib.clock
import config.lib.ids
import config.lib.scope
import django.db.models.deletion
from django.db import migrations, models

from config.lib.db.migration import NarrowMigration
from config.lib.db.operations import ScopeTables


class Migration(NarrowMigration):

    dependencies = [
        ('contacts', '0006_bulk_runs'),
        ('memory', '0020_waiting'),
    ]

    operations = [
        migrations.CreateModel(
            name='ImportRun',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('updated_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('version', models.PositiveIntegerField(default=1, editable=False)),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('source', models.CharField(max_length=60)),
                ('path', models.CharField(blank=True, max_length=2000)),
                ('options', models.JSONField(blank=True, default=dict)),
                ('actor_label', models.CharField(blank=True, max_length=200)),
                ('state', models.CharField(choices=[('running', 'Running'), ('done', 'Done'), ('failed', 'Failed'), ('interrupted', 'Interrupted'), ('undoing', 'Undoing'), ('undone', 'Undone')], default='running', max_length=20)),
                ('counts', models.JSONField(blank=True, default=dict, editable=False)),
                ('problem_counts', models.JSONField(blank=True, default=dict, editable=False)),
                ('problems', models.JSONField(blank=True, default=list, editable=False)),
                ('redacted', models.PositiveIntegerField(default=0, editable=False)),
                ('checked', models.JSONField(blank=True, default=dict, editable=False)),
                ('undone', models.JSONField(blank=True, default=dict, editable=False)),
                ('error', models.TextField(blank=True, editable=False, max_length=20000)),
                ('started_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('beat_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('ended_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('undone_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['workspace', '-created_at', '-id'], name='importrun_list'), models.Index(fields=['workspace', 'source', '-created_at', '-id'], name='importrun_source')],
            },
        ),
        ScopeTables(["ImportRun"]),
        # What other systems kept may be longer than what an agent may write here.
        migrations.AlterField(
            model_name="memory",
            name="text",
            field=models.TextField(max_length=1000000),
        ),
    ]
