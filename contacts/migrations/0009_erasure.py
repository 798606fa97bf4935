"""What is erased for good, and the tombstones that keep it away."""

import config.lib.clock
import config.lib.db.fields
import config.lib.ids
import config.lib.scope
import django.db.models.deletion
from django.db import migrations, models

from config.lib.db.migration import NarrowMigration
from config.lib.db.operations import ScopeTables


class Migration(NarrowMigration):

    dependencies = [
        ('contacts', '0008_limits'),
    ]

    operations = [
        migrations.CreateModel(
            name='Erasure',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('updated_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('version', models.PositiveIntegerField(default=1, editable=False)),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('kind', models.CharField(choices=[('memory', 'Memory'), ('session', 'Session'), ('contact', 'Contact'), ('term', 'Term')], max_length=20)),
                ('target_id', models.UUIDField(blank=True, editable=False, null=True)),
                ('wanted', models.CharField(blank=True, editable=False, max_length=500)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('state', models.CharField(choices=[('looking', 'Looking'), ('proposed', 'Proposed'), ('running', 'Running'), ('done', 'Done'), ('failed', 'Failed'), ('dropped', 'Dropped')], default='looking', editable=False, max_length=20)),
                ('actor_kind', models.CharField(editable=False, max_length=10)),
                ('actor_id', models.CharField(editable=False, max_length=64)),
                ('actor_label', models.CharField(editable=False, max_length=200)),
                ('preview', models.JSONField(blank=True, default=dict, editable=False)),
                ('report', models.JSONField(blank=True, default=dict, editable=False)),
                ('progress', models.CharField(blank=True, editable=False, max_length=200)),
                ('error', models.CharField(blank=True, editable=False, max_length=1000)),
                ('kept_away', models.PositiveIntegerField(default=0, editable=False)),
                ('lifted_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('started_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('ended_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('beat_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Tombstone',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('digest', models.BinaryField(max_length=32)),
                ('words', models.PositiveSmallIntegerField(default=0)),
                ('erasure', config.lib.db.fields.ScopedForeignKey(cascade=True, related_name='tombstones', to='contacts.erasure')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.AddIndex(
            model_name='erasure',
            index=models.Index(fields=['workspace', '-created_at', '-id'], name='erasure_list'),
        ),
        migrations.AddIndex(
            model_name='erasure',
            index=models.Index(condition=models.Q(('state__in', ('looking', 'running'))), fields=['workspace', 'beat_at'], name='erasure_active'),
        ),
        migrations.AddIndex(
            model_name='tombstone',
            index=models.Index(fields=['workspace', 'erasure'], name='tombstone_erasure'),
        ),
        migrations.AddIndex(
            model_name='tombstone',
            index=models.Index(condition=models.Q(('words__gt', 0)), fields=['workspace', 'words'], name='tombstone_terms'),
        ),
        migrations.AddConstraint(
            model_name='tombstone',
            constraint=models.UniqueConstraint(fields=('workspace', 'digest'), name='tombstone_digest_unique'),
        ),
        ScopeTables(["Erasure", "Tombstone"]),
    ]
