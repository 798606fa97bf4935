from django.apps import AppConfig


class SessionsConfig(AppConfig):
    name = "sessions"
    # Django's own sessions app already has the label "sessions".
    label = "agent_sessions"
    verbose_name = "Sessions and work"

    def ready(self) -> None:
        from sessions import handlers
        from sessions.services import ways

        handlers.register()
        ways.register()
