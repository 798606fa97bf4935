"""Keys and policies of contacts."""

from django.db import migrations

from config.lib.db.migration import NarrowMigration
from config.lib.db.operations import ScopeTables


class Migration(NarrowMigration):
    dependencies = [("contacts", "0003_contacts")]

    operations = [
        ScopeTables(["Contact", "ContactEmail", "ContactPhone", "Tag", "ContactTag"]),
    ]
