"""A stand-in for OpenAI's endpoint on a real socket: both of its APIs, streaming and not.

One script of steps serves both: what a model says, calls or fails at is told apart from how either
API puts it. `python -m tests.assistant.vendor` serves one for a process of any kind.
"""
