"""A caller's process that publishes one call for later, followed by a task that no code here registers."""

from app import app
from unhurried import messages


def main() -> None:
    """Publish."""
    gone = app.signature("shop.gone").set(queue="nobody")
    turns = [{"role": "user", "content": "Later."}]
    asked = messages.s(model="claude-haiku-4-5", max_tokens=10, messages=turns, tier="batch")
    asked.apply_async(countdown=25, link=gone)


if __name__ == "__main__":
    main()
