"""One attempt: resolve, judge, connect to what was judged, post, and look at the status alone."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import httpx2

from taskchat import __version__
from taskchat.http.outgoing import outgoing
from taskchat.refusals import BadConfiguration
from taskchat.webhooks.addresses import BadAddress, Endpoint, endpoint_of, first_refusal

BODY_BYTES_MAX: Final = 4096
"""Of the answer's body so much is taken off the wire, for the other side's sake; none is kept."""

ADDRESSES_MAX: Final = 3
"""Of a name's addresses the first few are tried, if they can't be connected to."""

GONE: Final = 410
"""With this, a receiver says that it wants no more."""

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Tells the addresses of a name; raises OSError if there are none."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an attempt.

    Attributes:
        status: The HTTP status, if one came back.
        error: Why it has not arrived, without anything that the other side said; None if it has.
        retry_after_s: For how long the receiver wants to be left alone.
    """

    status: int | None
    error: str | None
    retry_after_s: float = 0.0


class Poster:
    """Posts bodies to hooks.

    Args:
        timeout_s: The longest that an attempt takes, all of it.
        at_once: How many there are at once.
        resolve: Tells a name's addresses; the system's own unless told otherwise.
    """

    def __init__(self, *, timeout_s: float, at_once: int, resolve: Resolver | None = None) -> None:
        self._timeout_s = timeout_s
        # Threads of its own: a name server that hangs must hold up nobody else's.
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="webhook-names")
        self._resolve = resolve or self._ask_system
        self._client: httpx2.AsyncClient | None = None

    def open(self) -> httpx2.AsyncClient:
        """The client, made when it is first needed: most services have nothing to post.

        Raises:
            BadConfiguration: the environment allows none.
        """
        if self._client is None:
            # No proxy: it would resolve the name by itself. No connection is kept: one to the same
            # address may have been made, and its certificate checked, for another name.
            self._client = outgoing(
                lambda: httpx2.AsyncClient(
                    verify=httpx2.create_ssl_context(),
                    trust_env=False,
                    follow_redirects=False,
                    timeout=self._timeout_s,
                    limits=httpx2.Limits(max_keepalive_connections=0),
                    headers={"User-Agent": f"taskchat/{__version__}"},
                )
            )
        return self._client

    async def close(self) -> None:
        """Close what is open."""
        if self._client is not None:
            await self._client.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def post(
        self, url: str, body: bytes, headers: dict[str, str], *, private: bool
    ) -> Result:
        """Post a body. Whatever the other side does, there is a result.

        Args:
            url: Where to.
            body: JSON.
            headers: With the signature.
            private: Whether addresses that are not public are allowed.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._post(url, body, headers, private=private)
        except TimeoutError:
            return Result(None, "timeout")
        except BadAddress as error:
            return Result(None, f"the address {error}"[:200])
        except BadConfiguration as error:
            return Result(None, str(error)[:200])
        except (OSError, UnicodeError):
            return Result(None, "the name is not known")
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            return Result(None, type(error).__name__)

    async def _post(
        self, url: str, body: bytes, headers: dict[str, str], *, private: bool
    ) -> Result:
        endpoint = endpoint_of(url, private=private)
        addresses = list(dict.fromkeys(await self._resolve(endpoint.host, endpoint.port)))
        if not private and (reason := first_refusal(addresses)):
            raise BadAddress(f"must be a public one; this one is {reason}")
        for address in addresses[: ADDRESSES_MAX - 1]:
            if address != addresses[-1]:
                with contextlib.suppress(httpx2.ConnectError):
                    return await self._post_to(address, endpoint, body, headers)
        return await self._post_to(addresses[:ADDRESSES_MAX][-1], endpoint, body, headers)

    async def _post_to(
        self, address: str, endpoint: Endpoint, body: bytes, headers: dict[str, str]
    ) -> Result:
        async with self.open().stream(
            "POST",
            endpoint.at(address),
            content=body,
            headers={"Host": endpoint.authority, "Content-Type": "application/json", **headers},
            # Whose certificate it must be.
            extensions={"sni_hostname": endpoint.host.rstrip(".")},
        ) as response:
            status = response.status_code
            with contextlib.suppress(httpx2.HTTPError):
                taken = 0
                async for chunk in response.aiter_raw():
                    taken += len(chunk)
                    if taken >= BODY_BYTES_MAX:
                        break
        if httpx2.codes.is_success(status):
            return Result(status, None)
        said = response.headers.get("retry-after", "")
        retry_after_s = float(said) if said.isascii() and said.isdecimal() else 0.0
        return Result(status, f"status {status}", retry_after_s)

    async def _ask_system(self, host: str, port: int) -> Sequence[str]:
        def ask() -> list[str]:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return [str(entry[4][0]) for entry in found]

        return await asyncio.get_running_loop().run_in_executor(self._threads, ask)
