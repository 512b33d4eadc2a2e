"""Redis and PostgreSQL crash under load and come back over the same data."""

import pytest

from tests.crash.scene import PROVIDERS, WITHIN_S, Scene


@pytest.mark.parametrize("server", ["redis", "postgres"])
def test_a_crash_of_a_server_under_load_loses_nothing(scene: Scene, server: str) -> None:
    """
    Callers publish while it crashes; every job that they published comes, once.
    """
    loads = {one: scene.publish(f"crashed-{server}", one, 300) for one in PROVIDERS}
    for load in loads.values():
        scene.await_published(load, 50)
    scene.stack.servers[server].crash()
    scene.stack.servers[server].start_again()

    for provider, load in loads.items():
        assert 0 == load.wait(within_s=WITHIN_S), load.tail()
        scene.require_once(f"crashed-{server}", provider, 300)
