"""How far sessions were learned from, what came of it, and what a model was asked for it."""

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
        ('agent_sessions', '0007_attention_indexes'),
        ('contacts', '0005_seals'),
        ('memory', '0014_hooks'),
    ]

    operations = [
        migrations.CreateModel(
            name='Learning',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('due_at', models.DateTimeField(null=True)),
                ('marks', models.PositiveIntegerField(default=0)),
                ('threads', models.JSONField(default=dict)),
                ('seq', models.PositiveIntegerField(default=0)),
                ('summarised_at', models.DateTimeField(null=True)),
                ('summary_digest', models.CharField(blank=True, max_length=64)),
                ('model_due_at', models.DateTimeField(null=True)),
                ('model_threads', models.JSONField(default=dict)),
                ('model_failures', models.PositiveIntegerField(default=0)),
                ('session', config.lib.db.fields.ScopedForeignKey(cascade=True, related_name='learning', to='agent_sessions.session')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(condition=models.Q(('due_at__isnull', False)), fields=['workspace', 'due_at'], name='learning_due'), models.Index(condition=models.Q(('model_due_at__isnull', False)), fields=['workspace', 'model_due_at'], name='learning_model_due')],
                'constraints': [models.UniqueConstraint(fields=('workspace', 'session'), name='learning_session_unique')],
            },
        ),
        migrations.CreateModel(
            name='Lesson',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('key', models.CharField(max_length=200)),
                ('rule', models.CharField(max_length=60)),
                ('digest', models.CharField(max_length=64)),
                ('memory', config.lib.db.fields.ScopedForeignKey(blank=True, null=True, related_name='lessons', to='memory.memory')),
                ('session', config.lib.db.fields.ScopedForeignKey(blank=True, null=True, related_name='lessons', to='agent_sessions.session')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['workspace', 'digest'], name='lesson_digest'), models.Index(condition=models.Q(('session__isnull', False)), fields=['workspace', 'session', 'rule'], name='lesson_session'), models.Index(condition=models.Q(('memory__isnull', False)), fields=['workspace', 'memory'], name='lesson_memory')],
                'constraints': [models.UniqueConstraint(fields=('workspace', 'key'), name='lesson_key_unique')],
            },
        ),
        migrations.CreateModel(
            name='ModelUse',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('day', models.DateField()),
                ('calls', models.PositiveIntegerField(default=0)),
                ('tokens', models.PositiveBigIntegerField(default=0)),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('workspace', 'day'), name='modeluse_day_unique')],
            },
        ),
        ScopeTables(["Learning", "Lesson", "ModelUse"]),
    ]
