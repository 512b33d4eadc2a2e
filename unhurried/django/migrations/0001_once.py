"""The table of `unhurried.once`."""

from django.db import migrations, models


class Migration(migrations.Migration):  # type: ignore[misc]  # Django has no types here
    """Made by makemigrations, for names that stay."""

    initial = True
    dependencies: list[tuple[str, str]] = []  # noqa: RUF012 - Django's own shape
    operations = [  # noqa: RUF012 - Django's own shape
        migrations.CreateModel(
            name="Once",
            fields=[
                ("id", models.CharField(max_length=128, primary_key=True, serialize=False)),
                ("at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name": "result acted on",
                "verbose_name_plural": "results acted on",
                "db_table": "unhurried_once",
            },
        ),
    ]
