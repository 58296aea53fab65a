"""A pytest plugin: a real service for the tests of what is built on it.

Pytest imports it in every run: nothing of the service is imported before a test asks for one.
"""

from taskchat_pytest.server import TaskchatServer, TaskchatUser

__all__ = ["TaskchatServer", "TaskchatUser"]
