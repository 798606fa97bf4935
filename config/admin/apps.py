from typing import Any

from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.core import checks

from config.signin.checks import check_proxies


class AdminConfig(SimpleAdminConfig):
    """Finds the admin's pages where addresses are asked for (config/urls.py) or checked, not in
    every process: the supervisor and the job worker start a quarter sooner without them."""

    default_site = "config.admin.site.RemembrancerAdminSite"

    def ready(self) -> None:
        # Late: its rows are an application's that starts after this one.
        from config.signin import whereabouts

        user_logged_in.connect(whereabouts.came_in)
        user_logged_out.connect(whereabouts.went_out)
        checks.register(check_pages, checks.Tags.admin)
        checks.register(check_proxies, checks.Tags.security, deploy=True)
        super().ready()


def check_pages(app_configs: Any, **options: Any) -> list[checks.CheckMessage]:
    """Django's check of every page, all found."""
    admin.autodiscover()
    found: list[checks.CheckMessage] = check_admin_app(app_configs, **options)
    return found
