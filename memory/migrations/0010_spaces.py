"""A second vector for each passage, repeats of memories, and proposals of near duplicates."""

import config.lib.clock
import config.lib.db.fields
import config.lib.ids
import config.lib.scope
import django.db.models.deletion
import pgvector.django.halfvec
from django.conf import settings
from django.db import migrations, models

from config.lib.db.migration import NarrowMigration
from config.lib.db.operations import ScopeField, ScopeTables
from config.lib.db.sql_objects import SqlFunction
from memory.migrations.sql.session_search import SEARCH_SESSIONS, SEARCH_SESSIONS_IN_SLOTS

DIMENSIONS = settings.EMBEDDING_DIMENSIONS


def forget_retired(apps, schema_editor):
    """Until now a retired space's vectors were made anew in the same column, so it has none, or
    some that nobody reads. Its row would stand in the slot of the active one."""
    workspaces = apps.get_model("contacts", "Workspace").objects.values_list("id", flat=True)
    with schema_editor.connection.cursor() as cursor:
        for workspace_id in workspaces:
            # Row-level security holds the owner too.
            cursor.execute("SET LOCAL app.workspace = %s", [str(workspace_id)])
            gone = (
                "SELECT id FROM memory_embeddingspace WHERE workspace_id = %s AND state <> 'active'"
            )
            cursor.execute(
                "UPDATE memory_passage SET embedding = NULL, space_id = NULL, lane = 1 "
                f"WHERE workspace_id = %s AND space_id IN ({gone})",
                [workspace_id, workspace_id],
            )
            cursor.execute(
                f"DELETE FROM memory_embeddingspace WHERE workspace_id = %s AND id IN ({gone})",
                [workspace_id, workspace_id],
            )
        cursor.execute("SET LOCAL app.workspace = ''")


def forget_second(apps, schema_editor):
    """Before the second slot goes: the active space takes its vectors into the first one. What
    search does not read is forgotten."""
    workspaces = apps.get_model("contacts", "Workspace").objects.values_list("id", flat=True)
    with schema_editor.connection.cursor() as cursor:
        for workspace_id in workspaces:
            cursor.execute("SET LOCAL app.workspace = %s", [str(workspace_id)])
            cursor.execute(
                "SELECT id FROM memory_embeddingspace WHERE workspace_id = %s AND slot = 2 "
                "AND state = 'active'",
                [workspace_id],
            )
            if cursor.fetchone():
                cursor.execute(
                    "UPDATE memory_passage SET embedding = second_embedding, "
                    "space_id = second_space_id WHERE workspace_id = %s",
                    [workspace_id],
                )
                cursor.execute(
                    "UPDATE memory_passage SET space_id = NULL "
                    "WHERE workspace_id = %s AND embedding IS NULL",
                    [workspace_id],
                )
            cursor.execute(
                "UPDATE memory_passage SET second_embedding = NULL, second_space_id = NULL "
                "WHERE workspace_id = %s AND second_space_id IS NOT NULL",
                [workspace_id],
            )
            cursor.execute(
                "DELETE FROM memory_embeddingspace e WHERE workspace_id = %s "
                "AND state <> 'active'",
                [workspace_id],
            )
        cursor.execute("SET LOCAL app.workspace = ''")


class Migration(NarrowMigration):

    dependencies = [
        ('agent_sessions', '0007_attention_indexes'),
        ('contacts', '0005_seals'),
        ('memory', '0009_receipts'),
    ]

    operations = [
        migrations.CreateModel(
            name='MemoryDuplicate',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('updated_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('version', models.PositiveIntegerField(default=1, editable=False)),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('similarity', models.FloatField()),
                ('overlap', models.FloatField()),
                ('state', models.CharField(choices=[('open', 'Open'), ('merged', 'Merged'), ('dismissed', 'Dismissed')], default='open', editable=False, max_length=20)),
                ('kept', models.CharField(blank=True, default='', editable=False, max_length=10)),
                ('decided_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('newer', config.lib.db.fields.ScopedForeignKey(cascade=True, related_name='duplicates_older', to='memory.memory')),
                ('older', config.lib.db.fields.ScopedForeignKey(cascade=True, related_name='duplicates_newer', to='memory.memory')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'verbose_name': 'near duplicate',
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['workspace', 'state', '-id'], name='memoryduplicate_state'), models.Index(fields=['workspace', 'newer'], name='memoryduplicate_newer')],
                'constraints': [models.UniqueConstraint(fields=('workspace', 'older', 'newer'), name='memoryduplicate_unique')],
            },
        ),
        ScopeTables(["MemoryDuplicate"]),
        migrations.AddField(
            model_name='embeddingspace',
            name='slot',
            field=models.PositiveSmallIntegerField(choices=[(1, 'First'), (2, 'Second')], default=1),
        ),
        migrations.AddField(
            model_name='embeddingspace',
            name='switched_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.RunPython(forget_retired, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name='embeddingspace',
            constraint=models.UniqueConstraint(fields=('workspace', 'slot'), name='embeddingspace_slot'),
        ),
        migrations.AddField(
            model_name='passage',
            name='second_embedding',
            field=pgvector.django.halfvec.HalfVectorField(null=True),
        ),
        migrations.AddField(
            model_name='passage',
            name='second_space',
            field=config.lib.db.fields.ScopedForeignKey(null=True, related_name='second_passages', to='memory.embeddingspace'),
        ),
        ScopeField("Passage", "second_space"),
        migrations.RunPython(migrations.RunPython.noop, forget_second),
        migrations.AddIndex(
            model_name='passage',
            index=models.Index(condition=models.Q(('second_embedding', None), ('second_space__isnull', False)), fields=['workspace', 'lane', '-id'], name='passage_second_pending'),
        ),
        # In the row itself while there is room for two: a scan reads every vector.
        migrations.RunSQL(
            "ALTER TABLE memory_passage ALTER COLUMN second_embedding SET STORAGE MAIN",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            f"CREATE INDEX passage_second_vectors ON memory_passage "
            f"USING hnsw ((second_embedding::halfvec({DIMENSIONS})) halfvec_cosine_ops) "
            f"WHERE vector_dims(second_embedding) = {DIMENSIONS}",
            "DROP INDEX passage_second_vectors",
        ),
        SqlFunction(
            "search_sessions_semantic",
            "halfvec, integer, double precision",
            SEARCH_SESSIONS_IN_SLOTS,
            replaces=SEARCH_SESSIONS,
        ),
        migrations.AddField(
            model_name='memory',
            name='compared_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='memory',
            name='last_repeated_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='memory',
            name='repeat_count',
            field=models.PositiveIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name='memory',
            name='repeat_key',
            field=models.CharField(blank=True, default='', editable=False, max_length=64),
        ),
        migrations.AddIndex(
            model_name='memory',
            index=models.Index(condition=models.Q(('compared_at', None), ('state', 'active')), fields=['workspace', '-id'], name='memory_uncompared'),
        ),
        migrations.AddConstraint(
            model_name='memory',
            constraint=models.UniqueConstraint(condition=models.Q(('repeat_key', ''), _negated=True), fields=('workspace', 'repeat_key'), name='memory_repeat_unique'),
        ),
    ]
