"""Dockerfile and docker-compose.yml say what the Procfile, the Makefile and the settings say."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
BESIDE = {"migrate", "redis", "postgres", "simulator", "mail"}

_NAME = re.compile(r"\bUNHURRIED_[A-Z_]+\b")


def _text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def _services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(_text("docker-compose.yml"))["services"]
    return found


def _procfile() -> dict[str, str]:
    pairs = (line.partition(": ") for line in _text("Procfile").splitlines())
    return {name: command for name, _, command in pairs}


def test_every_process_of_the_procfile_is_a_service_by_its_own_command() -> None:
    """Neither more nor less; a shell fills in what the container's environment holds."""
    ours = {name: one["command"] for name, one in _services().items() if name not in BESIDE}

    assert ours == {
        # Compose would fill in a single dollar from where it is started.
        name: ["sh", "-c", "exec " + command.replace("$", "$$")]
        for name, command in _procfile().items()
    }


@pytest.mark.parametrize("file", ["Dockerfile", "docker-compose.yml", "simulator.env"])
def test_every_variable_is_a_setting(file: str) -> None:
    """A name that nobody reads would change nothing, silently."""
    known = {f"UNHURRIED_{name.upper()}" for name in Settings.model_fields}
    known |= set(_NAME.findall(_text("Procfile")))

    assert set() == set(_NAME.findall(_text(file))) - known


def test_everything_of_ours_runs_in_one_image_after_the_migration() -> None:
    """The processes wait for Redis and for the migration, and it waits for the database."""
    services = _services()
    ours = [services[name] for name in _procfile()]

    assert {"unhurried"} == {one["image"] for one in [*ours, services["simulator"]]}
    assert all(
        {
            "redis": {"condition": "service_healthy"},
            "migrate": {"condition": "service_completed_successfully"},
        }
        == one["depends_on"]
        for one in ours
    )
    assert {"postgres": {"condition": "service_healthy"}} == services["migrate"]["depends_on"]


def test_nothing_of_ours_has_rights() -> None:
    """Not root, no capability, nothing to write to but its volume and a temporary directory."""
    users = re.findall(r"^USER (\S+)", _text("Dockerfile"), re.MULTILINE)

    assert ["unhurried"] == users
    for name, one in _services().items():
        if one.get("image") == "unhurried":
            hardened = (one["read_only"], one["cap_drop"], one["security_opt"], one["tmpfs"])
            assert (True, ["ALL"], ["no-new-privileges:true"], ["/tmp"]) == hardened, name  # noqa: S108


def test_only_loopback_is_published() -> None:
    """Flower, the exporter, Redis and the mail catcher ask for no password."""
    published = [port for one in _services().values() for port in one.get("ports", [])]

    assert len(published) == 4
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_redis_loses_nothing() -> None:
    """It makes no room by throwing keys away, and it comes back with what it had."""
    command = " ".join(_services()["redis"]["command"])

    assert "--maxmemory-policy noeviction" in command
    assert "--appendonly yes" in command
    assert ["redis:/data"] == _services()["redis"]["volumes"]


def test_who_spools_has_the_volume() -> None:
    """Packs and results outlive a container; each is where the settings say."""
    services = _services()
    (directory,) = re.findall(r"^VOLUME (\S+)", _text("Dockerfile"), re.MULTILINE)
    mounted = {name for name, one in services.items() if f"spool:{directory}" in _volumes(one)}

    assert {"packer", "collector"} == mounted
    assert f"UNHURRIED_RUN_DIRECTORY={directory}" in _text("Dockerfile")
    assert directory == services["packer"]["environment"]["UNHURRIED_RUN_DIRECTORY"]


def test_who_sends_requests_reads_attachments() -> None:
    """
    The three that hand requests to providers see what callers attach, and cannot change it.
    """
    mount = "${ATTACHMENTS_DIRECTORY:-./attachments}:/srv/unhurried:ro"
    readers = {name for name, one in _services().items() if mount in _volumes(one)}

    assert {"sync", "near_real_time", "packer"} == readers
    assert "file:///srv/unhurried" == _services()["intake"]["environment"]["UNHURRIED_STORAGE"]


def _volumes(service: dict[str, Any]) -> list[str]:
    found: list[str] = service.get("volumes", [])
    return found


def test_the_simulator_and_the_mail_catcher_run_where_they_are_asked_for() -> None:
    """`simulator.env` asks for them, and points the service at them."""
    services = _services()
    asked = dict(line.split("=", 1) for line in _text("simulator.env").splitlines() if "=" in line)
    profiles = {name: one["profiles"] for name, one in services.items() if "profiles" in one}

    assert {"simulator": ["simulator"], "mail": ["simulator"]} == profiles
    assert "simulator" == asked["COMPOSE_PROFILES"]
    assert "--port 8000" in " ".join(services["simulator"]["command"])
    assert "http://simulator:8000" == asked["UNHURRIED_ANTHROPIC_BASE_URL"]
    # Mail in clear goes to loopback alone, so the catcher shares the notifier's.
    assert "service:notifier" == services["mail"]["network_mode"]
    assert asked["UNHURRIED_SMTP_URL"].startswith("smtp://127.0.0.1:")
    assert set(asked) - {"COMPOSE_PROFILES"} <= set(services["notifier"]["environment"])


def test_the_image_holds_every_package_that_the_processes_run_from() -> None:
    """What is copied is let through, and the installer is the Makefile's."""
    dockerfile, ignored = _text("Dockerfile"), _text(".dockerignore").splitlines()
    copied = {
        word
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)
        for word in line.split()
    }

    assert {"app", "tasks", "simulator", "unhurried"} <= copied
    assert copied == {line[1:] for line in ignored if line.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)
    (version,) = re.findall(r"^UV_VERSION := (\S+)", _text("Makefile"), re.MULTILINE)
    assert f"ARG UV_VERSION={version}\n" in dockerfile
