"""What Django knows the app by."""

from django.apps import AppConfig


class UnhurriedConfig(AppConfig):  # type: ignore[misc]  # Django has no types here
    """`unhurried.django` in INSTALLED_APPS; its tables begin with `unhurried_`."""

    name = "unhurried.django"
    label = "unhurried"
    verbose_name = "Unhurried"
    default_auto_field = "django.db.models.BigAutoField"
