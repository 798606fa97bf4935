"""Receipts of searches with what askers say of them, and golden queries with their runs."""

import config.lib.clock
import config.lib.db.fields
import config.lib.ids
import config.lib.scope
import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

from config.lib.db.migration import NarrowMigration
from config.lib.db.operations import ScopeTables


class Migration(NarrowMigration):

    dependencies = [
        ('contacts', '0005_seals'),
        ('memory', '0008_about_memory'),
    ]

    operations = [
        migrations.CreateModel(
            name='GoldenQuery',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('updated_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('version', models.PositiveIntegerField(default=1, editable=False)),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('name', models.CharField(max_length=200)),
                ('request', models.JSONField(default=dict)),
                ('expected', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=36), size=None)),
                ('within', models.PositiveIntegerField(default=10, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(100)])),
                ('enabled', models.BooleanField(default=True)),
                ('last_recall', models.FloatField(blank=True, editable=False, null=True)),
                ('last_run_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'verbose_name_plural': 'golden queries',
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='GoldenRun',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('reason', models.CharField(max_length=60)),
                ('space', models.CharField(blank=True, default='', max_length=300)),
                ('weights', models.CharField(max_length=20)),
                ('queries', models.PositiveIntegerField()),
                ('recall', models.FloatField()),
                ('took_ms', models.FloatField()),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Receipt',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('q', models.TextField(blank=True)),
                ('request', models.JSONField(default=dict)),
                ('filters', models.JSONField(default=dict)),
                ('mode', models.CharField(max_length=20)),
                ('legs', models.JSONField(default=list)),
                ('hits', models.JSONField(default=list)),
                ('hit_count', models.PositiveIntegerField(default=0)),
                ('space', models.CharField(blank=True, default='', max_length=300)),
                ('weights', models.CharField(max_length=20)),
                ('took_ms', models.FloatField()),
                ('api_key_id', models.UUIDField(null=True)),
                ('asker', models.CharField(max_length=200)),
                ('agent', config.lib.db.fields.ScopedForeignKey(null=True, related_name='searches', to='contacts.agent')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='SearchFeedback',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('kind', models.CharField(max_length=20)),
                ('hit_id', models.UUIDField()),
                ('verdict', models.CharField(choices=[('useful', 'Useful'), ('wrong', 'Wrong'), ('outdated', 'Outdated')], max_length=20)),
                ('note', models.TextField(blank=True, default='', max_length=2000)),
                ('asker', models.CharField(max_length=100)),
                ('asker_label', models.CharField(max_length=200)),
                ('updated_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('receipt', config.lib.db.fields.ScopedForeignKey(cascade=True, related_name='feedback', to='memory.receipt')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'verbose_name_plural': 'search feedback',
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='GoldenResult',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('recall', models.FloatField()),
                ('recall_before', models.FloatField(null=True)),
                ('ranks', models.JSONField(default=dict)),
                ('missing', models.JSONField(default=list)),
                ('lost', models.JSONField(default=list)),
                ('regained', models.JSONField(default=list)),
                ('problem', models.CharField(blank=True, default='', max_length=300)),
                ('golden', config.lib.db.fields.ScopedForeignKey(cascade=True, related_name='results', to='memory.goldenquery')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
                ('run', config.lib.db.fields.ScopedForeignKey(cascade=True, related_name='results', to='memory.goldenrun')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['workspace', 'run', 'id'], name='goldenresult_run'), models.Index(fields=['workspace', 'golden', '-id'], name='goldenresult_golden')],
            },
        ),
        migrations.AddIndex(
            model_name='receipt',
            index=models.Index(fields=['workspace', '-created_at', '-id'], name='receipt_list'),
        ),
        migrations.AddIndex(
            model_name='receipt',
            index=models.Index(fields=['workspace', 'mode', '-created_at', '-id'], name='receipt_mode'),
        ),
        migrations.AddIndex(
            model_name='receipt',
            index=models.Index(condition=models.Q(('hit_count', 0)), fields=['workspace', '-created_at', '-id'], name='receipt_empty'),
        ),
        migrations.AddIndex(
            model_name='receipt',
            index=models.Index(fields=['workspace', 'agent', '-created_at', '-id'], name='receipt_agent'),
        ),
        migrations.AddIndex(
            model_name='searchfeedback',
            index=models.Index(fields=['workspace', 'verdict', '-id'], name='searchfeedback_verdict'),
        ),
        migrations.AddConstraint(
            model_name='searchfeedback',
            constraint=models.UniqueConstraint(fields=('workspace', 'receipt', 'kind', 'hit_id', 'asker'), name='searchfeedback_unique'),
        ),
        ScopeTables(["GoldenQuery", "GoldenRun", "Receipt", "SearchFeedback", "GoldenResult"]),
    ]
