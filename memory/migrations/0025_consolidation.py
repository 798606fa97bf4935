"""Runs that tell episodes as narratives, and the index of what none tells yet."""

import config.lib.clock
import config.lib.ids
import config.lib.scope
import django.db.models.deletion
from django.db import migrations, models

from config.lib.db.migration import NarrowMigration
from config.lib.db.operations import ScopeTables


class Migration(NarrowMigration):

    dependencies = [
        ('agent_sessions', '0009_long_texts'),
        ('contacts', '0009_erasure'),
        ('memory', '0024_unlearning'),
    ]

    operations = [
        migrations.CreateModel(
            name='ConsolidationRun',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('updated_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('version', models.PositiveIntegerField(default=1, editable=False)),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('actor_id', models.CharField(blank=True, max_length=64)),
                ('actor_label', models.CharField(blank=True, max_length=200)),
                ('state', models.CharField(choices=[('running', 'Running'), ('held', 'Held'), ('done', 'Done'), ('dismissed', 'Dismissed'), ('reverted', 'Reverted')], default='running', max_length=20)),
                ('hides', models.BooleanField(default=False)),
                ('method', models.CharField(blank=True, editable=False, max_length=60)),
                ('groups', models.JSONField(blank=True, default=list, editable=False)),
                ('read', models.PositiveIntegerField(default=0, editable=False)),
                ('made', models.PositiveIntegerField(default=0, editable=False)),
                ('changed', models.PositiveIntegerField(default=0, editable=False)),
                ('would_hide', models.PositiveIntegerField(default=0, editable=False)),
                ('of', models.PositiveIntegerField(default=0, editable=False)),
                ('held', models.CharField(blank=True, editable=False, max_length=500)),
                ('reverted', models.JSONField(blank=True, default=dict, editable=False)),
                ('started_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('beat_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('ended_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'verbose_name': 'consolidation',
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.AddIndex(
            model_name='memory',
            index=models.Index(condition=models.Q(models.Q(('trust', 'external'), _negated=True), models.Q(('method', 'consolidated'), _negated=True), ('consolidated', False), ('kind__in', ('occurrence', 'observation', 'inference', 'dissonance_event', 'learning_pattern', 'task_execution', 'decision')), ('state', 'active')), fields=['workspace', 'session', 'project'], name='memory_unconsolidated'),
        ),
        migrations.AddIndex(
            model_name='consolidationrun',
            index=models.Index(fields=['workspace', '-created_at', '-id'], name='consolidationrun_list'),
        ),
        migrations.AddIndex(
            model_name='consolidationrun',
            index=models.Index(condition=models.Q(('state__in', ('running', 'held'))), fields=['workspace', 'state', 'created_at'], name='consolidationrun_open'),
        ),
        ScopeTables(["ConsolidationRun"]),
    ]
