"""How the admin looks and what its sidebar offers: unfold's settings. Not for Django's own."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse, reverse_lazy


def _static(path: str) -> Any:
    """Resolved per request: the storage is not ready while settings load."""
    return lambda request: static(path)


def _list(model: str, title: str, icon: str, query: str = "", **extra: Any) -> dict[str, Any]:
    """A sidebar entry that leads to a model's list."""
    url = reverse_lazy(f"admin:{model}_changelist")
    return {"title": title, "icon": icon, "link": url, **extra}


def workspace_name(request: HttpRequest) -> str:
    """Under the product's name: which workspace everything on the page belongs to."""
    workspace = getattr(request, "workspace", None)
    return workspace.name if workspace is not None else ""


def is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_superuser)


def own_pages(request: HttpRequest) -> list[dict[str, str]]:
    """What the menu of one's own account offers."""
    if not request.user.is_authenticated:
        return []
    found = [("sign_ins", "Where you are signed in")]
    if settings.SECOND_FACTOR != "off":
        found.append(("second_factor", "Second factor"))
    if request.user.has_usable_password():
        found.append(("password_change", "Change password"))
    return [{"title": title, "link": reverse(f"admin:{name}")} for name, title in found]


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Remembrancer",
    "SITE_HEADER": "Remembrancer",
    "SITE_SUBHEADER": workspace_name,
    "SITE_URL": None,
    "SITE_ICON": {
        "light": _static("remembrancer/icon.svg"),
        "dark": _static("remembrancer/icon.svg"),
    },
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": _static("remembrancer/icon.svg")},
    ],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [_static("remembrancer/admin.css")],
    "SCRIPTS": [_static("remembrancer/admin.js")],
    "BORDER_RADIUS": "6px",
    "COLORS": {
        # Verdigris: the green of old seals and copper roofs.
        "primary": {
            "50": "oklch(97.5% .015 178)",
            "100": "oklch(94.5% .035 178)",
            "200": "oklch(89% .065 178)",
            "300": "oklch(81.5% .09 179)",
            "400": "oklch(72% .105 180)",
            "500": "oklch(63% .1 181)",
            "600": "oklch(52% .088 182)",
            "700": "oklch(45% .075 183)",
            "800": "oklch(38.5% .06 184)",
            "900": "oklch(33% .048 185)",
            "950": "oklch(24% .035 186)",
        },
    },
    "LOGIN": {"form": "config.signin.forms.SignInForm"},
    "ACCOUNT": {"navigation": own_pages},
    "COMMAND": {"search_models": False, "show_history": False},
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "show_all_applications": False,
        "navigation": [
            {
                "items": [
                    {
                        "title": "At a glance",
                        "icon": "space_dashboard",
                        "link": reverse_lazy("admin:index"),
                    },
                    {
                        "title": "Search",
                        "icon": "search",
                        "link": reverse_lazy("admin:search"),
                    },
                ],
            },
            {
                "title": "What happens",
                "separator": True,
                "items": [
                    _list("agent_sessions_session", "Sessions", "forum"),
                    _list("agent_sessions_thread", "Threads", "account_tree"),
                    _list("agent_sessions_message", "Messages", "chat_bubble"),
                    _list("agent_sessions_sessionevent", "Events", "bolt"),
                    _list("agent_sessions_handoff", "Handoffs", "move_up"),
                    _list("agent_sessions_notification", "Notifications", "notifications"),
                ],
            },
            {
                "title": "What needs people",
                "separator": True,
                "items": [
                    _list("agent_sessions_ping", "Pings", "campaign"),
                    _list("agent_sessions_stagedcontent", "Staged content", "push_pin"),
                    _list("agent_sessions_pingchannel", "Channels", "outgoing_mail"),
                    _list("agent_sessions_pingdelivery", "Deliveries", "send"),
                ],
            },
            {
                "title": "What is to do",
                "separator": True,
                "items": [
                    _list("agent_sessions_priority", "Priorities", "flag"),
                    _list("agent_sessions_project", "Projects", "folder"),
                    _list("agent_sessions_task", "Tasks", "task_alt"),
                    _list("agent_sessions_worker", "Workers", "engineering"),
                    _list("agent_sessions_scheduledmission", "Schedules", "event_repeat"),
                    _list("agent_sessions_mission", "Missions", "rocket_launch"),
                ],
            },
            {
                "title": "What is known",
                "separator": True,
                "items": [
                    {
                        "title": "Review",
                        "icon": "rate_review",
                        "link": reverse_lazy("admin:review"),
                        "badge": "memory.admin.review_count.badge",
                    },
                    _list("memory_memory", "Memories", "neurology"),
                    _list("memory_memoryduplicate", "Near duplicates", "content_copy"),
                    _list("memory_consolidationrun", "Consolidations", "compress"),
                ],
            },
            {
                "title": "What was asked",
                "separator": True,
                "items": [
                    _list("memory_receipt", "Searches", "saved_search"),
                    _list("memory_searchfeedback", "Feedback", "thumbs_up_down"),
                    _list("memory_goldenquery", "Golden queries", "verified"),
                    _list("memory_goldenrun", "Golden runs", "fact_check"),
                ],
            },
            {
                "title": "Who",
                "separator": True,
                "items": [
                    _list("contacts_contact", "Contacts", "contacts"),
                    _list("contacts_tag", "Tags", "label"),
                    _list("contacts_agent", "Agents", "smart_toy"),
                    _list("contacts_apikey", "API keys", "key"),
                    _list("contacts_membership", "Members", "group"),
                    _list("contacts_invitation", "Invitations", "mail"),
                ],
            },
            {
                "title": "Under the hood",
                "separator": True,
                "collapsible": True,
                "items": [
                    _list("memory_hookpayload", "Hook payloads", "webhook"),
                    _list("memory_transcript", "Transcripts", "upload_file"),
                    _list("agent_sessions_rawline", "Raw lines", "data_object"),
                    _list("memory_passage", "Search index", "manage_search"),
                    _list("memory_embeddingspace", "Embedding spaces", "hub"),
                    _list("memory_modeluse", "Model use", "payments"),
                ],
            },
            {
                "title": "Workspace",
                "separator": True,
                "items": [
                    _list("contacts_revision", "History", "history"),
                    _list("contacts_bulkrun", "Bulk runs", "checklist"),
                    _list("memory_unlearning", "Unlearned", "undo"),
                    _list("contacts_erasure", "Erasures", "delete_forever"),
                    _list("memory_importrun", "Imports", "move_to_inbox"),
                    _list("contacts_workspace", "Settings", "tune"),
                    _list("auth_user", "Accounts", "manage_accounts", permission=is_superuser),
                ],
            },
        ],
    },
}
