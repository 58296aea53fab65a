"""Which pages may use what a browser reaches without asking first."""

from starlette.requests import HTTPConnection

from taskchat.settings.origins import Origins, origin_of


def origin_is_allowed(connection: HTTPConnection, origins: Origins) -> bool:
    """Whether a page of this origin may connect.

    Clients other than browsers send no origin, and a browser can't leave it out. A page of the
    service's own is always allowed.
    """
    given = connection.headers.getlist("origin")
    if not given:
        return True
    if len(given) > 1:
        return False
    return origins.allow(given[0]) or _is_own(given[0], connection.headers.get("host", ""))


def _is_own(origin: str, host: str) -> bool:
    scheme, _, _ = origin.partition("://")
    try:
        return origin_of(origin) == origin_of(f"{scheme}://{host}")
    except ValueError:
        return False
