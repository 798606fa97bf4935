"""What a session, worker, key or run wrote, taken back as one unit."""

import config.lib.clock
import config.lib.ids
import config.lib.scope
import django.db.models.deletion
from django.db import migrations, models

from config.lib.db.migration import NarrowMigration
from config.lib.db.operations import ScopeTables


class Migration(NarrowMigration):

    dependencies = [
        ('contacts', '0009_erasure'),
        ('memory', '0023_backups'),
    ]

    operations = [
        migrations.CreateModel(
            name='Unlearning',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('updated_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('version', models.PositiveIntegerField(default=1, editable=False)),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('kind', models.CharField(choices=[('session', 'Session'), ('worker', 'Worker'), ('key', 'Key'), ('run', 'Run')], max_length=20)),
                ('target_id', models.UUIDField(editable=False)),
                ('since', models.DateTimeField(blank=True, null=True)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('state', models.CharField(choices=[('proposed', 'Proposed'), ('done', 'Done'), ('undone', 'Undone')], default='proposed', editable=False, max_length=20)),
                ('actor_label', models.CharField(editable=False, max_length=200)),
                ('preview', models.JSONField(blank=True, default=dict, editable=False)),
                ('report', models.JSONField(blank=True, default=dict, editable=False)),
                ('undone', models.JSONField(blank=True, default=dict, editable=False)),
                ('done_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('undone_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['workspace', '-created_at', '-id'], name='unlearning_list')],
            },
        ),
        ScopeTables(["Unlearning"]),
    ]
