"""Fixtures that every test may use."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.groups", "tests.hapi_server", "tests.bytecode", "tests.files_in_memory", "tests.deployments"]

# How long an example takes says more about what else this machine does than about us.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")
