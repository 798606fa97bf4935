from django.apps import AppConfig


class MemoryConfig(AppConfig):
    name = "memory"
    verbose_name = "Memory and search"

    def ready(self) -> None:
        from memory import handlers
        from memory.services import ways

        handlers.register()
        ways.register()
