"""Kept counts with their keys and policies, and sessions by meaning for people who work in SQL."""

import config.lib.clock
import config.lib.ids
import config.lib.scope
import django.db.models.deletion
from django.db import migrations, models

from config.lib.db.migration import NarrowMigration
from config.lib.db.operations import ScopeTables
from config.lib.db.sql_objects import SqlFunction
from memory.migrations.sql.session_search import SEARCH_SESSIONS


class Migration(NarrowMigration):

    dependencies = [
        ('contacts', '0005_seals'),
        ('memory', '0005_about_rows'),
    ]

    operations = [
        migrations.CreateModel(
            name='DayCount',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('what', models.CharField(max_length=30)),
                ('day', models.DateField()),
                ('count', models.PositiveBigIntegerField()),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('workspace', 'what', 'day'), name='daycount_unique')],
            },
        ),
        migrations.CreateModel(
            name='RowCount',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('what', models.CharField(max_length=30)),
                ('counts', models.JSONField(default=dict)),
                ('counted_to', models.UUIDField()),
                ('counted_at', models.DateTimeField()),
                ('recounted_at', models.DateTimeField()),
                ('seconds', models.FloatField(default=0)),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('workspace', 'what'), name='rowcount_unique')],
            },
        ),
        ScopeTables(["RowCount", "DayCount"]),
        SqlFunction(
            "search_sessions_semantic", "halfvec, integer, double precision", SEARCH_SESSIONS
        ),
    ]
