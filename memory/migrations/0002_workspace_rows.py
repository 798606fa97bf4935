"""Keys and policies of the workspace tables, and the vector index."""

from django.conf import settings
from django.db import migrations

from config.lib.db.migration import NarrowMigration
from config.lib.db.operations import ScopeTables

DIMENSIONS = settings.EMBEDDING_DIMENSIONS


class Migration(NarrowMigration):
    dependencies = [
        ("memory", "0001_initial"),
        ("agent_sessions", "0002_workspace_rows"),
    ]

    operations = [
        ScopeTables(["EmbeddingSpace", "Memory", "MemoryLink", "Evidence", "Passage"]),
        # In the row itself, not in a side table: a scan reads every vector.
        migrations.RunSQL(
            "ALTER TABLE memory_passage ALTER COLUMN embedding SET STORAGE PLAIN",
            "ALTER TABLE memory_passage ALTER COLUMN embedding SET STORAGE EXTERNAL",
        ),
        # The column takes vectors of any length, so that a second model's can stand beside the
        # first; an index is for one length.
        migrations.RunSQL(
            f"CREATE INDEX passage_vectors ON memory_passage "
            f"USING hnsw ((embedding::halfvec({DIMENSIONS})) halfvec_cosine_ops) "
            f"WHERE vector_dims(embedding) = {DIMENSIONS}",
            "DROP INDEX passage_vectors",
        ),
    ]
