"""The identity provider of the tests of tokens, beside which accounts are served."""

from tests.auth.conftest import provider

__all__ = ["provider"]
