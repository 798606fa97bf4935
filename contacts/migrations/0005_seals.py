"""Digests of Revisions and the seals that chain them, and what the runtime role may set of these."""

import config.lib.clock
import config.lib.db.fields
import config.lib.ids
import config.lib.scope
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from config.lib.db.migration import NarrowMigration
from config.lib.db.operations import AppendOnly, ScopeField, ScopeTables

# Once: a Revision that has its seal is out of the runtime role's reach, digest and all. Restrictive,
# so that it narrows the workspace's own policy; the owner's role, which erases, is not held by it.
SEALED_ONCE = (
    f'CREATE POLICY sealed_once ON contacts_revision AS RESTRICTIVE FOR UPDATE '
    f'TO "{settings.RUNTIME_ROLE}" USING (seal_id IS NULL) '
    f"WITH CHECK (seal_id IS NOT NULL AND digest IS NOT NULL)"
)
SEALING = 'UPDATE (seal_id, salt, digest) ON contacts_revision'


class Migration(NarrowMigration):

    dependencies = [
        ('contacts', '0004_contact_rows'),
    ]

    operations = [
        migrations.AddField(
            model_name='revision',
            name='digest',
            field=models.BinaryField(max_length=32, null=True),
        ),
        migrations.AddField(
            model_name='revision',
            name='erased_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='revision',
            name='salt',
            field=models.BinaryField(max_length=16, null=True),
        ),
        migrations.CreateModel(
            name='RevisionSeal',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('position', models.PositiveBigIntegerField()),
                ('previous', models.BinaryField(max_length=32)),
                ('digest', models.BinaryField(max_length=32)),
                ('count', models.PositiveIntegerField()),
                ('sealed_at', models.DateTimeField()),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.AddField(
            model_name='revision',
            name='seal',
            field=config.lib.db.fields.ScopedForeignKey(blank=True, editable=False, null=True, related_name='revisions', to='contacts.revisionseal'),
        ),
        migrations.AddIndex(
            model_name='revision',
            index=models.Index(condition=models.Q(('seal__isnull', True)), fields=['workspace', 'id'], name='revision_unsealed'),
        ),
        migrations.AddIndex(
            model_name='revision',
            index=models.Index(condition=models.Q(('seal__isnull', False)), fields=['workspace', 'seal', 'id'], name='revision_seal'),
        ),
        migrations.AddConstraint(
            model_name='revisionseal',
            constraint=models.UniqueConstraint(fields=('workspace', 'position'), name='revisionseal_position_unique'),
        ),
        ScopeTables(["RevisionSeal"]),
        ScopeField("Revision", "seal"),
        AppendOnly(["RevisionSeal"]),
        migrations.RunSQL(SEALED_ONCE, "DROP POLICY sealed_once ON contacts_revision"),
        migrations.RunSQL(
            f'GRANT {SEALING} TO "{settings.RUNTIME_ROLE}"',
            f'REVOKE {SEALING} FROM "{settings.RUNTIME_ROLE}"',
        ),
    ]
