"""Foreign keys that stay inside a workspace, and a look-up of many values at once."""

from typing import Any

from django.db import models
from django.db.models.lookups import Lookup


class ScopedForeignKey(models.ForeignKey):
    """A foreign key to a row of the same workspace.

    Joins compare the workspace as well as the id, so that a distributed database can route them
    and row-level security never has to. The constraint in the database is the composite one that
    `ScopeTables` makes, so Django makes none of its own, and no index: an index that serves a
    real query is named in the model's Meta.

    cascade=True: the database deletes the row with its target. Otherwise a nullable key is set
    to null by Django (the database cannot null one column of a composite key), and a required
    one protects its target.
    """

    def __init__(self, to: Any, *, cascade: bool = False, **kwargs: Any) -> None:
        self.cascade = cascade
        if cascade:
            on_delete: Any = models.DO_NOTHING
        else:
            on_delete = models.SET_NULL if kwargs.get("null") else models.PROTECT
        kwargs["on_delete"] = on_delete
        kwargs["db_constraint"] = False
        kwargs["db_index"] = False
        super().__init__(to, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        for ours in ("on_delete", "db_constraint", "db_index"):
            kwargs.pop(ours, None)
        if self.cascade:
            kwargs["cascade"] = True
        return name, path, args, kwargs

    def get_extra_restriction(self, alias: str | None, related_alias: str) -> Any:
        """`alias` is the target's table, `related_alias` the one that holds this key."""
        if alias is None:  # a subquery Django has trimmed; its outer query carries the filter
            return None
        target: Any = self.remote_field.model._meta.get_field("workspace")
        own: Any = self.model._meta.get_field("workspace")
        lookup = target.get_lookup("exact")
        return lookup(target.get_col(alias), own.get_col(related_alias))


@models.Field.register_lookup
class AnyOf(Lookup):
    """`field__any_of=values`: like `__in`, with all values in one parameter.

    A batch looks a thousand keys up; a parameter for each costs Django and psycopg more time than
    the query takes. For values psycopg adapts as they are (str, UUID), not for sub-queries.

    Of texts it says as well that the field is not empty, where none of them is: PostgreSQL looks
    into an array of up to 100 only, and reads the whole table rather than a unique index of what
    is not empty.

    The array is the answer of a sub-query, so that the planner cannot count its values: in a table
    without statistics each is taken for a two-hundredth of the rows, and of five hundred values it
    reads the whole workspace rather than the index of the field.
    """

    lookup_name = "any_of"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        sql, params = self.process_lhs(compiler, connection)
        values = list(self.rhs)
        field = self.lhs.output_field
        is_text = isinstance(field, (models.CharField, models.TextField))
        array = f"{'text' if is_text else field.db_type(connection)}[]"
        found = f"{sql} = ANY((SELECT %s::{array})::{array})"
        if "" in values or not is_text:
            return found, (*params, values)
        return f"({found} AND {sql} <> '')", (*params, values, *params)
