"""Getting a source here: files in pieces from the browser's script, or as one small form without
it, or an address on the server where the settings let superusers name one.

Pieces, because a body may have ten megabytes, no proxy has to be told, no request holds its
transaction for long, and what broke off goes on.
"""

import uuid
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    JsonResponse,
)
from django.template.response import TemplateResponse
from django.urls import reverse

from config.lib.errors import Conflict, DomainError
from contacts.admin.access import actor_of, require_role
from contacts.models.workspace import Role
from memory.importers import asked, uploads
from memory.importers.registry import SOURCES
from memory.importers.source import times_of
from memory.models import ImportRun
from memory.models.imports import ImportState

PIECE_BYTES = 4 * 1024 * 1024


def upload_view(admin: Any, request: HttpRequest) -> HttpResponse:
    """Choose what to import. A POST brings it whole: an address, or files as far as a body goes."""
    wrong = ""
    if request.method == "POST":
        try:
            with transaction.atomic():
                run = _address(request) if request.POST.get("address") else _whole(request)
            return HttpResponseRedirect(_page_of(run))
        except DomainError as error:
            wrong = error.detail
    by_address = request.user.is_superuser and (settings.IMPORT_FOLDERS or settings.IMPORT_URLS)
    context = {
        **admin.admin_site.each_context(request),
        "opts": admin.opts,
        "title": "Import",
        "wrong": wrong,
        "limit": settings.IMPORT_BYTES,
        "body_limit": settings.MAX_BODY_BYTES,
        "piece": min(PIECE_BYTES, settings.MAX_BODY_BYTES),
        "by_address": by_address,
        "folders": settings.IMPORT_FOLDERS,
        "urls": settings.IMPORT_URLS,
        "sources": [(one.title, times_of(one)) for _, one in sorted(SOURCES.items())],
    }
    return TemplateResponse(request, "admin/memory/import_upload.html", context)


def _page_of(run: ImportRun) -> str:
    return reverse("admin:memory_importrun_change", args=[run.pk])


def _address(request: HttpRequest) -> ImportRun:
    allowed = bool(request.user.is_superuser)
    address = request.POST["address"].replace("\x00", "")[:2000]
    return asked.propose_address(actor=actor_of(request), address=address, allowed=allowed)


def _whole(request: HttpRequest) -> ImportRun:
    files: list[UploadedFile] = request.FILES.getlist("files")
    names = [file.name or "" for file in files]
    sizes = [file.size or 0 for file in files]
    run = asked.receive(actor=actor_of(request), names=names, sizes=sizes)
    for number, file in enumerate(files):
        asked.append(run=run, number=number, offset=0, body=file)
    return asked.received(actor=actor_of(request), run_id=run.pk)


def begin_view(admin: Any, request: HttpRequest) -> HttpResponse:
    """POST `name` and `size` of each file; {page, piece}: where to look, and where pieces go."""
    require_role(request, Role.OPERATOR)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    names = [name.replace("\x00", "") for name in request.POST.getlist("name")]
    sizes = [
        int(one) if one.isascii() and one.isdigit() and len(one) < 16 else -1
        for one in request.POST.getlist("size")
    ]
    try:
        with transaction.atomic():
            run = asked.receive(actor=actor_of(request), names=names, sizes=sizes)
    except DomainError as error:
        return _problem(error, 400)
    piece = reverse("admin:memory_importrun_piece", args=[run.pk])
    return JsonResponse({"page": _page_of(run), "piece": piece})


def piece_view(admin: Any, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
    """POST the bytes of file `?file=` from `?offset=` on; {size, done}. 409 with the size that is
    here, where it does not go on there."""
    require_role(request, Role.OPERATOR)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    # Two pieces at once come one after the other.
    run = ImportRun.objects.select_for_update(no_key=True).filter(pk=object_id).first()
    if run is None:
        raise Http404
    asking = [request.GET.get(name, "") for name in ("file", "offset")]
    if not all(one.isascii() and one.isdigit() and len(one) < 16 for one in asking):
        return JsonResponse({"problem": "file and offset are numbers"}, status=400)
    number, offset = map(int, asking)
    try:
        with transaction.atomic():
            size = asked.append(run=run, number=number, offset=offset, body=request)
            done = asked.is_complete(run)
            if done:
                asked.received(actor=actor_of(request), run_id=run.pk)
    except Conflict as error:
        here = 0
        if run.state == ImportState.RECEIVING and number < len(run.files):
            here = uploads.sizes(asked.folder_of(run)).get(run.files[number]["name"], 0)
        return _problem(error, 409, size=here)
    except DomainError as error:
        return _problem(error, 400)
    return JsonResponse({"size": size, "done": done})


def _problem(error: DomainError, status: int, **more: Any) -> JsonResponse:
    return JsonResponse({"problem": error.detail, **more}, status=status)
