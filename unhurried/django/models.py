"""Which consumer has acted on which result."""

from django.db import models


class Once(models.Model):  # type: ignore[misc]  # Django has no types here
    """One mark, committed with the effect that it stands for."""

    #: `<consumer>:<result_id>`.
    id = models.CharField(max_length=128, primary_key=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Its name, for people and for the database."""

        app_label = "unhurried"
        db_table = "unhurried_once"
        verbose_name = "result acted on"
        verbose_name_plural = "results acted on"

    def __str__(self) -> str:
        """The mark."""
        return str(self.id)
