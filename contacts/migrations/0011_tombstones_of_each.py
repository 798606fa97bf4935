"""Two erasures of the same have a tombstone each: lifting the one leaves the other's."""

from django.db import migrations, models

from config.lib.db.migration import NarrowMigration


class Migration(NarrowMigration):

    dependencies = [
        ('contacts', '0010_unreadable'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='tombstone',
            name='tombstone_digest_unique',
        ),
        migrations.AddConstraint(
            model_name='tombstone',
            constraint=models.UniqueConstraint(fields=('workspace', 'digest', 'erasure'), name='tombstone_digest_unique'),
        ),
    ]
