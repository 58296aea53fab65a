"""Apps that are made in a tenth of the time: tests make more than a thousand of them."""

import functools
from typing import Any

from fastapi import routing

from taskchat import app


def make_apps_quickly() -> None:
    """From now on, in this process and its forks.

    FastAPI reads the signature of each endpoint anew for each app, and a service takes a turn
    before its first one, to be warm; these processes are.
    """
    of = routing._EffectiveRouteContext
    read = of.from_api_route
    known: dict[tuple[int, str], Any] = {}

    @functools.wraps(read)
    def once(*, original_route: Any, include_context: Any) -> Any:
        key = id(original_route), include_context.prefix
        if key not in known:
            # It holds the route, whose id is nobody else's then.
            known[key] = read(original_route=original_route, include_context=include_context)
        return known[key]

    of.from_api_route = once  # type: ignore[method-assign]
    app.__dict__["rehearse"] = _no_rehearsal


async def _no_rehearsal(_: Any) -> None:
    return
