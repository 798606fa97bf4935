"""Keys and policies of the workspace tables, and the one table read before a workspace is known."""

from django.db import migrations

from config.lib.db.migration import NarrowMigration
from config.lib.db.operations import AppendOnly, ScopeTables


class Migration(NarrowMigration):
    dependencies = [("contacts", "0001_initial")]

    operations = [
        ScopeTables(["Membership", "Invitation", "Agent", "ApiKey", "Revision", "IdempotencyKey"]),
        AppendOnly(["Revision"]),
        # Which workspaces may this person enter? Asked before one is chosen.
        migrations.RunSQL(
            "CREATE POLICY own_memberships ON contacts_membership FOR SELECT "
            "USING (user_id = nullif(current_setting('app.user', true), '')::integer)",
            "DROP POLICY own_memberships ON contacts_membership",
        ),
    ]
