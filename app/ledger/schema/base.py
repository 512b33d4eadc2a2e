"""What every table is made with: names of constraints, times, closed sets."""

from enum import StrEnum

from sqlalchemy import CheckConstraint, Column, DateTime, MetaData

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def at(name: str, *, nullable: bool = True) -> Column:  # type: ignore[type-arg]
    """An aware time; its name ends in `_at`."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """A column that holds one of these and nothing else."""
    choices = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({choices})", name=column)
