"""What django-allauth does with accounts: nothing but what our own sign-in asks of it."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.models import User
from django.http import HttpRequest

from config.signin.session import BY_SSO


class AccountAdapter(DefaultAccountAdapter):
    """Without allauth's own pages. Whoever comes by it comes by single sign-on."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """One sees that one is in."""

    def get_login_stages(self) -> list[str]:
        """A second factor is asked for by the provider."""
        return []

    def login(self, request: HttpRequest, user: User) -> None:
        super().login(request, user)
        request.session[BY_SSO] = True
