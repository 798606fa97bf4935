"""The admin's forms: what a browser sends becomes changes for the write funnel.

A browser sends every field, touched or not, with its own line ends; here that is told apart, so
that saving a page changes what the person changed and nothing else.
"""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib.postgres.forms import SimpleArrayField
from django.db import IntegrityError, models
from django.http import HttpRequest

from config.lib import errors
from config.lib.redact import redact

# Sent by every page that changes a row; see includes/version.html.
VERSION, REASON = "_version", "_reason"
MAX_REASON = 500


class LinesField(SimpleArrayField):
    """A list, one item per line: an item may hold a comma."""

    def __init__(self, base_field: forms.Field, **kwargs: Any) -> None:
        super().__init__(base_field, delimiter="\n", **kwargs)

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str):
            # Before it is parted: a secret may have several lines.
            value = redact(value)
            value = "\n".join(line.strip() for line in value.splitlines() if line.strip())
        return super().to_python(value)


class RowForm(forms.ModelForm):
    """A ModelForm that reports what a service refused, and can begin with a person's own values."""

    request: HttpRequest
    # After a conflict: what the person had changed, over what the row is now.
    kept: Mapping[str, Any] = {}
    # Fields that are meant to hold a secret, or what finds one.
    secrets: frozenset[str] = frozenset()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if self.kept and not (args and args[0] is not None) and kwargs.get("data") is None:
            kwargs["initial"] = {**(kwargs.get("initial") or {}), **self.kept}
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for name, value in cleaned.items():
            cleaned[name] = normal(value) if name in self.secrets else redact(normal(value))
        for name, text in write_problems(self.request).items():
            field = name.split(".")[0].split("[")[0]
            known = field if field in self.fields else None
            path = name if name != field or known is None else ""
            self.add_error(known, f"{path}: {text}" if path else text)
        return cleaned

    def changes(self) -> dict[str, Any]:
        """What the person changed, by model field, as a service takes it."""
        changed: dict[str, Any] = {}
        for name in self.changed_data:
            field = _model_field(self._meta.model, name)
            if field is None or name not in self.cleaned_data:
                continue
            value = self.cleaned_data[name]
            if isinstance(field, models.ForeignKey):
                changed[field.attname] = value.pk if value is not None else None
            elif value is None and not field.null:
                # An emptied JSON or list field comes as None; the column has an empty value.
                changed[name] = field.get_default()
            else:
                changed[name] = value
        return changed


def _model_field(model: type[models.Model], name: str) -> Any:
    return next((f for f in model._meta.concrete_fields if f.name == name), None)


def normal(value: Any) -> Any:
    """Line ends as programs write them: a browser sends every one as two characters."""
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


def note_problem(request: HttpRequest, error: errors.DomainError | IntegrityError) -> None:
    """Remember why a write failed, for the form that is shown again."""
    if isinstance(error, errors.Invalid):
        problems = error.errors
    elif isinstance(error, errors.DomainError):
        problems = {"": error.detail}
    else:
        problems = {"": "Another row stands in the way: a name or key is taken already."}
    request.write_problems = problems  # type: ignore[attr-defined]


def write_problems(request: HttpRequest) -> Mapping[str, str]:
    return getattr(request, "write_problems", {})


def posted_version(request: HttpRequest) -> int | None:
    """The version the person saw, or None where the page did not say."""
    value = request.POST.get(VERSION, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None


def posted_reason(request: HttpRequest) -> str:
    return str(redact(normal(request.POST.get(REASON, "")))).strip()[:MAX_REASON]
