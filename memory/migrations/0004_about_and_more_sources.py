import config.lib.clock
import config.lib.db.fields
import config.lib.ids
import config.lib.scope
import django.db.models.deletion
import django.db.models.lookups
from django.db import migrations, models

from config.lib.db.migration import NarrowMigration


class Migration(NarrowMigration):

    dependencies = [
        ('agent_sessions', '0003_work_and_attention'),
        ('contacts', '0003_contacts'),
        ('memory', '0003_search'),
    ]

    operations = [
        migrations.CreateModel(
            name='MemoryAbout',
            fields=[
                ('id', models.UUIDField(default=config.lib.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, default=config.lib.scope.current_workspace_id, editable=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='contacts.workspace')),
                ('created_at', models.DateTimeField(default=config.lib.clock.now, editable=False)),
                ('memory', config.lib.db.fields.ScopedForeignKey(cascade=True, related_name='about', to='memory.memory')),
                ('contact', config.lib.db.fields.ScopedForeignKey(blank=True, cascade=True, null=True, related_name='known', to='contacts.contact')),
                ('project', config.lib.db.fields.ScopedForeignKey(blank=True, cascade=True, null=True, related_name='known', to='agent_sessions.project')),
                ('task', config.lib.db.fields.ScopedForeignKey(blank=True, cascade=True, null=True, related_name='known', to='agent_sessions.task')),
            ],
            options={
                'verbose_name_plural': 'memories about',
                'abstract': False,
                'base_manager_name': 'objects',
                'indexes': [models.Index(condition=models.Q(('contact__isnull', False)), fields=['workspace', 'contact', '-id'], name='memoryabout_contact'), models.Index(condition=models.Q(('project__isnull', False)), fields=['workspace', 'project', '-id'], name='memoryabout_project'), models.Index(condition=models.Q(('task__isnull', False)), fields=['workspace', 'task', '-id'], name='memoryabout_task')],
                'constraints': [models.CheckConstraint(condition=django.db.models.lookups.Exact(models.Func('contact', 'project', 'task', function='num_nonnulls', output_field=models.IntegerField()), 1), name='memoryabout_one_target'), models.UniqueConstraint(condition=models.Q(('contact__isnull', False)), fields=('workspace', 'memory', 'contact'), name='memoryabout_contact_unique'), models.UniqueConstraint(condition=models.Q(('project__isnull', False)), fields=('workspace', 'memory', 'project'), name='memoryabout_project_unique'), models.UniqueConstraint(condition=models.Q(('task__isnull', False)), fields=('workspace', 'memory', 'task'), name='memoryabout_task_unique')],
            },
        ),
        migrations.RemoveConstraint(
            model_name='passage',
            name='passage_one_source',
        ),
        migrations.AddField(
            model_name='evidence',
            name='mission',
            field=config.lib.db.fields.ScopedForeignKey(blank=True, null=True, related_name='evidence_of', to='agent_sessions.mission'),
        ),
        migrations.AddField(
            model_name='evidence',
            name='task',
            field=config.lib.db.fields.ScopedForeignKey(blank=True, null=True, related_name='evidence_of', to='agent_sessions.task'),
        ),
        migrations.AddField(
            model_name='passage',
            name='of_contact',
            field=config.lib.db.fields.ScopedForeignKey(cascade=True, null=True, related_name='passages', to='contacts.contact'),
        ),
        migrations.AddField(
            model_name='passage',
            name='of_task',
            field=config.lib.db.fields.ScopedForeignKey(cascade=True, null=True, related_name='passages', to='agent_sessions.task'),
        ),
        migrations.AlterField(
            model_name='passage',
            name='kind',
            field=models.CharField(choices=[('memory', 'Memory'), ('summary', 'Summary'), ('event', 'Event'), ('message', 'Message'), ('project', 'Project'), ('task', 'Task'), ('contact', 'Contact')], max_length=20),
        ),
        migrations.AddIndex(
            model_name='evidence',
            index=models.Index(condition=models.Q(('task__isnull', False)), fields=['workspace', 'task'], name='evidence_task'),
        ),
        migrations.AddIndex(
            model_name='evidence',
            index=models.Index(condition=models.Q(('mission__isnull', False)), fields=['workspace', 'mission'], name='evidence_mission'),
        ),
        migrations.AddConstraint(
            model_name='passage',
            constraint=models.CheckConstraint(condition=django.db.models.lookups.Exact(models.Func('of_memory', 'of_summary', 'of_event', 'of_message', 'of_project', 'of_task', 'of_contact', function='num_nonnulls', output_field=models.IntegerField()), 1), name='passage_one_source'),
        ),
        migrations.AddConstraint(
            model_name='passage',
            constraint=models.UniqueConstraint(condition=models.Q(('of_task__isnull', False)), fields=('workspace', 'of_task', 'chunk'), name='passage_of_task_unique'),
        ),
        migrations.AddConstraint(
            model_name='passage',
            constraint=models.UniqueConstraint(condition=models.Q(('of_contact__isnull', False)), fields=('workspace', 'of_contact', 'chunk'), name='passage_of_contact_unique'),
        ),
    ]
