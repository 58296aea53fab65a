"""Built-in accounts, for those without an identity provider: address, password, sessions.

A session is a family of refresh tokens, each of which is good once. Where accounts are switched
off, none of this is reachable.
"""
