import config.lib.clock
import config.lib.db.fields
import config.lib.ids
import config.lib.scope
import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.core.validators
import django.db.models.deletion
import django.db.models.lookups
import pgvector.django.halfvec
from django.db import migrations, models

from config.lib.db.migration import NarrowMigration


class Migration(NarrowMigration):

    initial = True

    dependencies = [
        ('agent_sessions', '0001_initial'),
        ('contacts', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='EmbeddingSpace',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('provider', models.CharField(max_length=20)),
                ('model', models.CharField(max_length=200)),
                ('dimensions', models.PositiveIntegerField()),
                ('state', models.CharField(choices=[('building', 'Building'), ('active', 'Active'), ('retired', 'Retired')], default='active', max_length=20)),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('workspace', 'provider', 'model', 'dimensions'), name='embeddingspace_unique'), models.UniqueConstraint(condition=models.Q(('state', 'active')), fields=('workspace',), name='embeddingspace_one_active')],
            },
        ),
        migrations.CreateModel(
            name='Memory',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('updated_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('version', models.PositiveIntegerField(default=1, editable=False)),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('source', models.CharField(blank=True, default='', max_length=60)),
                ('external_id', models.CharField(blank=True, default='', max_length=300)),
                ('kind', models.CharField(choices=[('occurrence', 'Occurrence'), ('observation', 'Observation'), ('inference', 'Inference'), ('reconciliation', 'Reconciliation'), ('self_definition', 'Self Definition'), ('web_observation', 'Web Observation'), ('dissonance_event', 'Dissonance Event'), ('learning_pattern', 'Learning Pattern'), ('task_execution', 'Task Execution'), ('fact', 'Fact'), ('preference', 'Preference'), ('procedure', 'Procedure'), ('decision', 'Decision')], default='observation', max_length=30)),
                ('text', models.TextField(max_length=100000)),
                ('data', models.JSONField(blank=True, default=dict)),
                ('tags', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=100), blank=True, default=list, size=None)),
                ('actor', models.CharField(blank=True, max_length=60)),
                ('method', models.CharField(blank=True, max_length=60)),
                ('confidence', models.FloatField(default=0.5, validators=[django.core.validators.MinValueValidator(0.0), django.core.validators.MaxValueValidator(1.0)])),
                ('confidence_method', models.CharField(blank=True, default='default', max_length=60)),
                ('affect', models.JSONField(blank=True, default=dict)),
                ('ownership', models.CharField(blank=True, default='user', max_length=60)),
                ('signature', models.TextField(blank=True, max_length=2000)),
                ('salience', models.FloatField(default=0.5, validators=[django.core.validators.MinValueValidator(0.0), django.core.validators.MaxValueValidator(1.0)])),
                ('pinned', models.BooleanField(default=False)),
                ('consolidated', models.BooleanField(default=False)),
                ('trust', models.CharField(choices=[('operator', 'Operator'), ('verified', 'Verified'), ('agent', 'Agent'), ('external', 'External')], default='agent', max_length=20)),
                ('state', models.CharField(choices=[('active', 'Active'), ('quarantined', 'Quarantined'), ('superseded', 'Superseded'), ('archived', 'Archived'), ('erased', 'Erased')], default='active', max_length=20)),
                ('valid_from', models.DateTimeField(blank=True, null=True)),
                ('valid_to', models.DateTimeField(blank=True, null=True)),
                ('recorded_at', models.DateTimeField(default=config.lib.clock.now)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('access_count', models.PositiveIntegerField(default=0, editable=False)),
                ('last_accessed_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('content_hash', models.CharField(editable=False, max_length=64)),
                ('agent', config.lib.db.fields.ScopedForeignKey(blank=True, null=True, related_name='memories', to='contacts.agent')),
                ('project', config.lib.db.fields.ScopedForeignKey(blank=True, null=True, related_name='memories', to='agent_sessions.project')),
                ('session', config.lib.db.fields.ScopedForeignKey(blank=True, null=True, related_name='memories', to='agent_sessions.session')),
                ('superseded_by', config.lib.db.fields.ScopedForeignKey(blank=True, null=True, related_name='supersedes', to='memory.memory')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'verbose_name_plural': 'memories',
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['workspace', '-recorded_at', '-id'], name='memory_list'), models.Index(fields=['workspace', 'kind', '-recorded_at', '-id'], name='memory_kind'), models.Index(fields=['workspace', 'state', '-recorded_at', '-id'], name='memory_state'), models.Index(fields=['workspace', 'agent', '-recorded_at', '-id'], name='memory_agent'), models.Index(fields=['workspace', 'session', '-recorded_at', '-id'], name='memory_session'), models.Index(fields=['workspace', 'project', '-recorded_at', '-id'], name='memory_project'), models.Index(fields=['workspace', 'content_hash'], name='memory_content_hash'), models.Index(condition=models.Q(('superseded_by__isnull', False)), fields=['workspace', 'superseded_by'], name='memory_superseded_by')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('external_id', ''), _negated=True), fields=('workspace', 'source', 'external_id'), name='memory_external_id_unique'), models.CheckConstraint(condition=models.Q(('confidence__gte', 0), ('confidence__lte', 1)), name='memory_confidence_unit')],
            },
        ),
        migrations.CreateModel(
            name='Evidence',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('uri', models.CharField(blank=True, max_length=2000)),
                ('quote', models.TextField(blank=True, max_length=20000)),
                ('quote_hash', models.CharField(blank=True, max_length=64)),
                ('event', config.lib.db.fields.ScopedForeignKey(blank=True, null=True, related_name='evidence_of', to='agent_sessions.sessionevent')),
                ('message', config.lib.db.fields.ScopedForeignKey(blank=True, null=True, related_name='evidence_of', to='agent_sessions.message')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
                ('memory', config.lib.db.fields.ScopedForeignKey(cascade=True, related_name='evidence', to='memory.memory')),
            ],
            options={
                'verbose_name_plural': 'evidence',
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['workspace', 'memory', 'id'], name='evidence_memory'), models.Index(condition=models.Q(('message__isnull', False)), fields=['workspace', 'message'], name='evidence_message'), models.Index(condition=models.Q(('event__isnull', False)), fields=['workspace', 'event'], name='evidence_event')],
            },
        ),
        migrations.CreateModel(
            name='MemoryLink',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('relation', models.CharField(choices=[('parent', 'Parent'), ('cause', 'Cause'), ('supports', 'Supports'), ('contradicts', 'Contradicts'), ('supersedes', 'Supersedes'), ('derived_from', 'Derived From'), ('related', 'Related')], max_length=20)),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('source', config.lib.db.fields.ScopedForeignKey(cascade=True, related_name='links_out', to='memory.memory')),
                ('target', config.lib.db.fields.ScopedForeignKey(cascade=True, related_name='links_in', to='memory.memory')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['workspace', 'target', 'relation'], name='memorylink_target')],
                'constraints': [models.UniqueConstraint(fields=('workspace', 'source', 'relation', 'target'), name='memorylink_unique')],
            },
        ),
        migrations.CreateModel(
            name='Passage',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('kind', models.CharField(choices=[('memory', 'Memory'), ('summary', 'Summary'), ('event', 'Event'), ('message', 'Message'), ('project', 'Project')], max_length=20)),
                ('chunk', models.PositiveSmallIntegerField(default=0)),
                ('memory_kind', models.CharField(blank=True, max_length=30)),
                ('session_id', models.UUIDField(null=True)),
                ('thread_id', models.UUIDField(null=True)),
                ('idx', models.PositiveIntegerField(null=True)),
                ('agent_id', models.UUIDField(null=True)),
                ('project_id', models.UUIDField(null=True)),
                ('occurred_at', models.DateTimeField()),
                ('trust', models.CharField(default='agent', max_length=20)),
                ('state', models.CharField(default='active', max_length=20)),
                ('valid_from', models.DateTimeField(null=True)),
                ('valid_to', models.DateTimeField(null=True)),
                ('text', models.TextField()),
                ('lexical', models.TextField()),
                ('token_count', models.PositiveIntegerField(default=0)),
                ('tsv', models.GeneratedField(db_persist=True, expression=models.Func(models.F('lexical'), models.F('workspace_id'), template="(to_tsvector('english'::regconfig, left(lexical, 200000)) || array_to_tsvector(ARRAY['w' || replace(workspace_id::text, '-', '')]))"), output_field=django.contrib.postgres.search.SearchVectorField())),
                ('embedding', pgvector.django.halfvec.HalfVectorField(null=True)),
                ('lane', models.PositiveSmallIntegerField(choices=[(0, 'Interactive'), (1, 'Bulk')], default=0)),
                ('of_event', config.lib.db.fields.ScopedForeignKey(cascade=True, null=True, related_name='passages', to='agent_sessions.sessionevent')),
                ('of_memory', config.lib.db.fields.ScopedForeignKey(cascade=True, null=True, related_name='passages', to='memory.memory')),
                ('of_message', config.lib.db.fields.ScopedForeignKey(cascade=True, null=True, related_name='passages', to='agent_sessions.message')),
                ('of_project', config.lib.db.fields.ScopedForeignKey(cascade=True, null=True, related_name='passages', to='agent_sessions.project')),
                ('of_summary', config.lib.db.fields.ScopedForeignKey(cascade=True, null=True, related_name='passages', to='agent_sessions.session')),
                ('space', config.lib.db.fields.ScopedForeignKey(null=True, related_name='passages', to='memory.embeddingspace')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [django.contrib.postgres.indexes.GinIndex(fields=['tsv'], name='passage_words'), models.Index(condition=models.Q(('embedding', None)), fields=['workspace', 'lane', '-id'], name='passage_pending'), models.Index(fields=['workspace', 'thread_id', 'idx'], name='passage_thread')],
                'constraints': [models.CheckConstraint(condition=django.db.models.lookups.Exact(models.Func('of_memory', 'of_summary', 'of_event', 'of_message', 'of_project', function='num_nonnulls', output_field=models.IntegerField()), 1), name='passage_one_source'), models.UniqueConstraint(condition=models.Q(('of_memory__isnull', False)), fields=('workspace', 'of_memory', 'chunk'), name='passage_of_memory_unique'), models.UniqueConstraint(condition=models.Q(('of_summary__isnull', False)), fields=('workspace', 'of_summary', 'chunk'), name='passage_of_summary_unique'), models.UniqueConstraint(condition=models.Q(('of_event__isnull', False)), fields=('workspace', 'of_event', 'chunk'), name='passage_of_event_unique'), models.UniqueConstraint(condition=models.Q(('of_message__isnull', False)), fields=('workspace', 'of_message', 'chunk'), name='passage_of_message_unique'), models.UniqueConstraint(condition=models.Q(('of_project__isnull', False)), fields=('workspace', 'of_project', 'chunk'), name='passage_of_project_unique')],
            },
        ),
    ]
