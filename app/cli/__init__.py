"""Operators' commands: `celery -A app unhurried ...`, a module for each topic."""
