"""One migrated template database a run, and a copy of it for each test."""

from uuid import uuid4

import psycopg

from app.ledger import migrate
from dev.servers import create_database

_TEMPLATE = "unhurried_template"


def make_template(server_url: str) -> str:
    """Migrate the template; its name. Nothing may stay connected to it, or it cannot be copied."""
    migrate.upgrade(create_database(server_url, _TEMPLATE))
    return _TEMPLATE


def copy_template(server_url: str, template: str) -> str:
    """A database as a new installation has it; its URL."""
    return create_database(server_url, f"test_{uuid4().hex}", template=template)


def drop(server_url: str, database_url: str) -> None:
    """Remove a test's database, whoever is still connected to it."""
    name = database_url.rpartition("/")[2]
    plain = server_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
