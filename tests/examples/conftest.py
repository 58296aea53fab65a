"""The service that the examples are run against."""

from tests.pytest_plugin.conftest import url as url
