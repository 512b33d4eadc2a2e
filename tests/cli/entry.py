"""The operators' commands without Celery around them: `python -m tests.cli.entry cancel ...`."""

from app.cli import unhurried

if __name__ == "__main__":
    unhurried()
