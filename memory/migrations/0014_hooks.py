"""Raw payloads of agents' hooks, transcript uploads, and where each session stands."""

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
        ('memory', '0013_search_plans'),
    ]

    operations = [
        migrations.CreateModel(
            name='HookPayload',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('key_id', models.UUIDField(null=True)),
                ('dialect', models.CharField(max_length=40)),
                ('session_name', models.CharField(blank=True, max_length=300)),
                ('event', models.CharField(blank=True, max_length=80)),
                ('dedupe_key', models.CharField(max_length=200)),
                ('payload', models.JSONField(default=dict)),
                ('raw', models.TextField(blank=True)),
                ('host', models.CharField(blank=True, max_length=300)),
                ('occurred_at', models.DateTimeField(default=config.lib.clock.now)),
                ('claimed_at', models.DateTimeField(null=True)),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('mapped', 'Mapped'), ('unmapped', 'Unmapped'), ('failed', 'Failed')], default='waiting', max_length=20)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('repeats', models.PositiveIntegerField(default=0)),
                ('mapped_at', models.DateTimeField(null=True)),
                ('answer', models.JSONField(default=dict)),
                ('answered', models.BooleanField(default=False)),
                ('agent', config.lib.db.fields.ScopedForeignKey(null=True, related_name='hook_payloads', to='contacts.agent')),
                ('session', config.lib.db.fields.ScopedForeignKey(cascade=True, null=True, related_name='hook_payloads', to='agent_sessions.session')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['workspace', '-created_at', '-id'], name='hookpayload_list'), models.Index(condition=models.Q(('state', 'waiting')), fields=['workspace', 'id'], name='hookpayload_waiting'), models.Index(condition=models.Q(('answered', True)), fields=['workspace', 'dialect', 'session_name', 'id'], name='hookpayload_answered'), models.Index(condition=models.Q(('state__in', ['unmapped', 'failed'])), fields=['workspace', '-created_at', '-id'], name='hookpayload_left'), models.Index(fields=['workspace', 'agent', '-created_at', '-id'], name='hookpayload_agent'), models.Index(condition=models.Q(('session__isnull', False)), fields=['workspace', 'session', '-created_at', '-id'], name='hookpayload_session')],
                'constraints': [models.UniqueConstraint(fields=('workspace', 'session_name', 'dialect', 'event', 'dedupe_key'), name='hookpayload_unique')],
            },
        ),
        migrations.CreateModel(
            name='HookStream',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('dialect', models.CharField(max_length=40)),
                ('session_name', models.CharField(max_length=300)),
                ('has_transcript', models.BooleanField(default=False)),
                ('fresh_since', models.DateTimeField(null=True)),
                ('last_start_at', models.DateTimeField(null=True)),
                ('session', config.lib.db.fields.ScopedForeignKey(cascade=True, null=True, related_name='hook_streams', to='agent_sessions.session')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(condition=models.Q(('session__isnull', False)), fields=['workspace', 'session'], name='hookstream_session')],
                'constraints': [models.UniqueConstraint(fields=('workspace', 'dialect', 'session_name'), name='hookstream_unique')],
            },
        ),
        migrations.CreateModel(
            name='HookTrace',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('kind', models.CharField(choices=[('prompt', 'Prompt'), ('reply', 'Reply'), ('compaction', 'Compaction')], max_length=20)),
                ('native_id', models.CharField(blank=True, max_length=200)),
                ('digest', models.CharField(blank=True, max_length=64)),
                ('line_key', models.CharField(blank=True, max_length=200)),
                ('session', config.lib.db.fields.ScopedForeignKey(cascade=True, related_name='hook_traces', to='agent_sessions.session')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['workspace', 'session', 'kind', 'line_key', 'id'], name='hooktrace_open')],
            },
        ),
        migrations.CreateModel(
            name='Transcript',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('dialect', models.CharField(max_length=40)),
                ('session_name', models.CharField(max_length=300)),
                ('file', models.CharField(max_length=300)),
                ('subagent', models.CharField(blank=True, max_length=120)),
                ('taken', models.BigIntegerField(default=0)),
                ('next_line', models.PositiveIntegerField(default=1)),
                ('check_from', models.BigIntegerField(default=0)),
                ('check_digest', models.CharField(blank=True, max_length=64)),
                ('generation', models.PositiveIntegerField(default=1)),
                ('seen', models.BigIntegerField(default=0)),
                ('gaps', models.JSONField(blank=True, default=list)),
                ('updated_at', models.DateTimeField(default=config.lib.clock.now)),
                ('session', config.lib.db.fields.ScopedForeignKey(cascade=True, null=True, related_name='transcripts', to='agent_sessions.session')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(condition=models.Q(('session__isnull', False)), fields=['workspace', 'session'], name='transcript_session')],
                'constraints': [models.UniqueConstraint(fields=('workspace', 'dialect', 'session_name', 'file'), name='transcript_unique')],
            },
        ),
        ScopeTables(["HookPayload", "HookStream", "HookTrace", "Transcript"]),
    ]
