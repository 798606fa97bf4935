"""Imports asked for on the Import page: what was uploaded, tried and previewed, and by which job."""

from django.db import migrations, models

from config.lib.db.migration import NarrowMigration


class Migration(NarrowMigration):

    dependencies = [
        ('contacts', '0007_members_by_group'),
        ('memory', '0021_import_runs'),
    ]

    operations = [
        migrations.AddField(
            model_name='importrun',
            name='actor_id',
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name='importrun',
            name='by_page',
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.AddField(
            model_name='importrun',
            name='files',
            field=models.JSONField(blank=True, default=list, editable=False),
        ),
        migrations.AddField(
            model_name='importrun',
            name='found',
            field=models.JSONField(blank=True, default=list, editable=False),
        ),
        migrations.AddField(
            model_name='importrun',
            name='job',
            field=models.CharField(blank=True, editable=False, max_length=40),
        ),
        migrations.AddField(
            model_name='importrun',
            name='preview',
            field=models.JSONField(blank=True, default=dict, editable=False),
        ),
        migrations.AddField(
            model_name='importrun',
            name='progress',
            field=models.CharField(blank=True, editable=False, max_length=200),
        ),
        migrations.AddField(
            model_name='importrun',
            name='tried',
            field=models.JSONField(blank=True, default=dict, editable=False),
        ),
        migrations.AlterField(
            model_name='importrun',
            name='source',
            field=models.CharField(blank=True, max_length=60),
        ),
        migrations.AlterField(
            model_name='importrun',
            name='state',
            field=models.CharField(choices=[('receiving', 'Receiving'), ('unpacking', 'Unpacking'), ('proposed', 'Proposed'), ('trying', 'Trying'), ('tried', 'Tried'), ('running', 'Running'), ('done', 'Done'), ('failed', 'Failed'), ('interrupted', 'Interrupted'), ('previewing', 'Previewing'), ('undoing', 'Undoing'), ('undone', 'Undone')], default='running', max_length=20),
        ),
        migrations.AddIndex(
            model_name='importrun',
            index=models.Index(condition=models.Q(('by_page', True), ('state__in', ('unpacking', 'trying', 'running', 'previewing', 'undoing'))), fields=['workspace', 'beat_at'], name='importrun_active'),
        ),
    ]
