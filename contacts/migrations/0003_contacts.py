import config.lib.clock
import config.lib.db.fields
import config.lib.ids
import config.lib.scope
import django.db.models.deletion
from django.db import migrations, models

from config.lib.db.migration import NarrowMigration


class Migration(NarrowMigration):

    dependencies = [
        ('contacts', '0002_workspace_rows'),
    ]

    operations = [
        migrations.CreateModel(
            name='Contact',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('updated_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('version', models.PositiveIntegerField(default=1, editable=False)),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('source', models.CharField(blank=True, default='', max_length=60)),
                ('external_id', models.CharField(blank=True, default='', max_length=300)),
                ('name', models.CharField(max_length=300)),
                ('sort_name', models.CharField(editable=False, max_length=300)),
                ('company', models.CharField(blank=True, max_length=300)),
                ('role', models.CharField(blank=True, max_length=200)),
                ('location', models.CharField(blank=True, max_length=300)),
                ('description', models.TextField(blank=True, max_length=100000)),
                ('relationship', models.CharField(blank=True, max_length=200)),
                ('notes', models.TextField(blank=True, max_length=100000)),
                ('last_contact_at', models.DateTimeField(blank=True, null=True)),
                ('pinned', models.BooleanField(default=False)),
                ('vcard_uid', models.CharField(blank=True, max_length=300)),
                ('vcard', models.TextField(blank=True, max_length=1000000)),
                ('merged_into', config.lib.db.fields.ScopedForeignKey(blank=True, editable=False, null=True, related_name='merged_from', to='contacts.contact')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(condition=models.Q(('merged_into', None)), fields=['workspace', 'sort_name', 'id'], name='contact_list'), models.Index(condition=models.Q(('merged_into', None), ('pinned', True)), fields=['workspace', 'sort_name', 'id'], name='contact_pinned'), models.Index(condition=models.Q(('merged_into', None)), fields=['workspace', 'company', 'sort_name', 'id'], name='contact_company'), models.Index(condition=models.Q(('last_contact_at__isnull', False), ('merged_into', None)), fields=['workspace', '-last_contact_at', '-id'], name='contact_last_contact'), models.Index(condition=models.Q(('merged_into__isnull', False)), fields=['workspace', 'merged_into'], name='contact_merged_into')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('external_id', ''), _negated=True), fields=('workspace', 'source', 'external_id'), name='contact_external_id_unique'), models.UniqueConstraint(condition=models.Q(('vcard_uid', ''), _negated=True), fields=('workspace', 'vcard_uid'), name='contact_vcard_uid_unique')],
            },
        ),
        migrations.CreateModel(
            name='ContactEmail',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('email', models.CharField(max_length=320)),
                ('label', models.CharField(blank=True, max_length=60)),
                ('position', models.PositiveSmallIntegerField(default=0)),
                ('contact', config.lib.db.fields.ScopedForeignKey(cascade=True, related_name='emails', to='contacts.contact')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['workspace', 'email'], name='contactemail_email')],
                'constraints': [models.UniqueConstraint(fields=('workspace', 'contact', 'email'), name='contactemail_unique')],
            },
        ),
        migrations.CreateModel(
            name='ContactPhone',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('number', models.CharField(max_length=20)),
                ('label', models.CharField(blank=True, max_length=60)),
                ('position', models.PositiveSmallIntegerField(default=0)),
                ('contact', config.lib.db.fields.ScopedForeignKey(cascade=True, related_name='phones', to='contacts.contact')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['workspace', 'number'], name='contactphone_number')],
                'constraints': [models.UniqueConstraint(fields=('workspace', 'contact', 'number'), name='contactphone_unique')],
            },
        ),
        migrations.CreateModel(
            name='Tag',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('name', models.CharField(max_length=100)),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'constraints': [models.UniqueConstraint(fields=('workspace', 'name'), name='tag_name_unique')],
            },
        ),
        migrations.CreateModel(
            name='ContactTag',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('contact', config.lib.db.fields.ScopedForeignKey(cascade=True, related_name='contact_tags', to='contacts.contact')),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
                ('tag', config.lib.db.fields.ScopedForeignKey(cascade=True, related_name='contact_tags', to='contacts.tag')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(fields=['workspace', 'tag', 'contact'], name='contacttag_tag')],
                'constraints': [models.UniqueConstraint(fields=('workspace', 'contact', 'tag'), name='contacttag_unique')],
            },
        ),
    ]
