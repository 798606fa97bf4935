"""What every workspace row has. Not for fields that only some models share."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import models

from config.lib import clock
from config.lib.ids import new_id, short_id
from config.lib.scope import CurrentWorkspace, current_workspace_id


class ScopedQuerySet(models.QuerySet):
    """Deletes in the database, by this query's own filter.

    Django's delete() reads every row that would go into memory and then deletes by id alone. Here
    the database cascades, and what is left to do is nulling the keys that do not cascade.
    """

    def delete(self) -> tuple[int, dict[str, int]]:
        """Remove the rows of this query; (how many, by model). What cascades is not counted."""
        for relation in self.model._meta.related_objects:
            field = relation.field
            related: Any = relation.related_model
            if relation.on_delete is models.SET_NULL:
                changes: dict[str, Any] = {field.name: None}
                if issubclass(related, VersionedRow):
                    changes |= {"version": models.F("version") + 1, "updated_at": clock.now()}
                related.objects.filter(**{f"{field.name}__in": self}).update(**changes)
            elif relation.on_delete is models.PROTECT:
                blocking = list(related.objects.filter(**{f"{field.name}__in": self})[:1])
                if blocking:
                    name = self.model._meta.verbose_name
                    others = related._meta.verbose_name_plural
                    raise models.ProtectedError(f"This {name} has {others}.", set(blocking))
        count = self._raw_delete(self.db)
        return count, {self.model._meta.label: count}

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]


class ScopedManager(models.Manager.from_queryset(ScopedQuerySet)):  # type: ignore[misc]
    """Only the current workspace's rows, by an explicit filter besides row-level security."""

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().filter(workspace_id=CurrentWorkspace())


class WorkspaceRow(models.Model):
    """A row of one workspace. The database's primary key is (workspace_id, id)."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(
        "contacts.Workspace",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
        default=current_workspace_id,
        editable=False,
    )
    created_at = models.DateTimeField(default=clock.now, editable=False)

    # While it is being made with others: what belongs to it and lies in rows of its own, by name,
    # so that whoever is told of it need not look for that.
    parts_made: Mapping[str, Any] | None = None

    objects: ClassVar[ScopedManager] = ScopedManager()

    class Meta:
        abstract = True
        # Related rows, saves and refreshes go through the workspace filter too.
        base_manager_name = "objects"

    @property
    def short_id(self) -> str:
        return short_id(self.id)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """By a filtered query: Django's own path deletes by id alone."""
        return type(self).objects.filter(pk=self.pk).delete()


class VersionedRow(WorkspaceRow):
    """A row that people and agents change: `version` is what If-Match compares.

    `metadata` is a JSON object of the caller's own; the product reads nothing from it.
    """

    # Rows that a Revision keeps with this one, by the name they have there: their model's label.
    kept_with: ClassVar[Mapping[str, str]] = {}

    updated_at = models.DateTimeField(default=clock.now, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    metadata = models.JSONField(default=dict, blank=True)

    class Meta(WorkspaceRow.Meta):
        abstract = True

    @property
    def etag(self) -> str:
        return f'"{self.version}"'


class SourcedRow(VersionedRow):
    """A row that another system, or an agent, knows by a name of its own.

    (source, external_id) is unique per workspace and model where external_id is set, so that
    every import and upsert can run twice. Each model names its own constraint.
    """

    source = models.CharField(max_length=60, blank=True, default="")
    external_id = models.CharField(max_length=300, blank=True, default="")

    class Meta(VersionedRow.Meta):
        abstract = True


def unique_external_id(name: str) -> models.UniqueConstraint:
    """The constraint of SourcedRow, under the model's own name for it."""
    return models.UniqueConstraint(
        fields=["workspace", "source", "external_id"],
        condition=~models.Q(external_id=""),
        name=name,
    )
