"""The sign-in form: one sentence for everything that is wrong, another where one must wait."""

from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from config.signin.guard import WAIT, is_refused

TOO_MANY = f"Too many attempts. Wait {int(WAIT.total_seconds() // 60)} minutes, then try again."


class SignInForm(AuthenticationForm):
    def get_invalid_login_error(self) -> ValidationError:
        if self.request is not None and is_refused(self.request):
            return ValidationError(TOO_MANY, code="too_many_attempts")
        return super().get_invalid_login_error()
