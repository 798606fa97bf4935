"""Pairs of memories that a model is asked about, and what came to nothing."""

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
        ('contacts', '0009_erasure'),
        ('memory', '0026_taken_imports'),
    ]

    operations = [
        migrations.AddField(
            model_name='modeluse',
            name='failures',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='modeluse',
            name='problem',
            field=models.CharField(blank=True, max_length=300),
        ),
        migrations.CreateModel(
            name='Judgement',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('answer', models.CharField(choices=[('waiting', 'Waiting'), ('contradicts', 'Contradicts'), ('compatible', 'Compatible'), ('given_up', 'Given up')], default='waiting', max_length=20)),
                ('due_at', models.DateTimeField(null=True)),
                ('failures', models.PositiveIntegerField(default=0)),
                ('method', models.CharField(blank=True, max_length=60)),
                ('problem', models.CharField(blank=True, max_length=300)),
                ('newer', config.lib.db.fields.ScopedForeignKey(cascade=True, related_name='judged_older', to='memory.memory')),
                ('older', config.lib.db.fields.ScopedForeignKey(cascade=True, related_name='judged_newer', to='memory.memory')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['workspace', 'older'], name='judgement_older'), models.Index(condition=models.Q(('due_at__isnull', False)), fields=['workspace', 'due_at'], name='judgement_due')],
                'constraints': [models.UniqueConstraint(fields=('workspace', 'newer', 'older'), name='judgement_pair_unique')],
            },
        ),
        ScopeTables(["Judgement"]),
    ]
