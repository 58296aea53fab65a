"""What `sslmode` and its neighbours in a database address ask of TLS.

By itself, the driver would look for files in the home folder, and fail if it may not read them.
Here, a file that can't be read counts as missing.
"""

import os
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

Tls: TypeAlias = ssl.SSLContext | None
"""How one attempt to connect is made; None is without TLS."""

SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

VERSIONS: Final = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
"""Older versions are no protection any more."""

SYSTEM: Final = "system"
"""Value of `sslrootcert`: the certificates that the machine trusts."""


def tls_attempts(parameters: Mapping[str, str]) -> tuple[Tls, ...]:
    """The attempts that `sslmode` allows, in its order.

    Args:
        parameters: By their names in libpq.

    Raises:
        ValueError: one of them names no known mode, or no usable file; in one sentence.
    """
    mode = parameters.get("sslmode")
    if mode is None:
        mode = "verify-full" if parameters.get("sslrootcert") == SYSTEM else "prefer"
    if mode not in SSL_MODES:
        raise ValueError(f"sslmode must be one of {', '.join(SSL_MODES)}")
    if mode == "disable":
        return (None,)
    context = _context(mode, parameters)
    if mode == "allow":
        return (None, context)
    return (context, None) if mode == "prefer" else (context,)


def _context(mode: str, parameters: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = _version(parameters, "ssl_min_protocol_version", "TLSv1.2")
    context.maximum_version = _version(parameters, "ssl_max_protocol_version", "TLSv1.3")
    context.set_alpn_protocols(["postgresql"])
    if mode not in ("allow", "prefer"):
        _verify(context, mode, parameters)
    _present(context, parameters)
    return context


def _verify(context: ssl.SSLContext, mode: str, parameters: Mapping[str, str]) -> None:
    """Set whom to trust. Without a file, `require` trusts anybody, as libpq does."""
    root = _file(parameters, "sslrootcert", "root.crt")
    if root is None and mode == "require":
        return
    if root is None or root == SYSTEM:
        # Whom the machine trusts says nothing about a name.
        mode = "verify-full"
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _use("sslrootcert", lambda: context.load_verify_locations(cafile=root))
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = mode == "verify-full"
    revoked = _file(parameters, "sslcrl", "root.crl")
    folder = parameters.get("sslcrldir")
    if revoked or folder:
        _use("sslcrl", lambda: context.load_verify_locations(cafile=revoked, capath=folder))
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN


def _present(context: ssl.SSLContext, parameters: Mapping[str, str]) -> None:
    """Load the certificate that identifies this client."""
    certificate = _file(parameters, "sslcert", "postgresql.crt")
    key = _file(parameters, "sslkey", "postgresql.key")
    if certificate is None or parameters.get("sslcertmode") == "disable":
        return
    password = parameters.get("sslpassword", "")
    _use("sslcert", lambda: context.load_cert_chain(certificate, key, lambda: password))


def _file(parameters: Mapping[str, str], name: str, in_home: str) -> str | None:
    """A file that was named, else the one in the home folder, if it can be read."""
    named = parameters.get(name)
    if named is not None:
        if named != SYSTEM and not os.access(named, os.R_OK):
            raise ValueError(f"{name} names a file that can't be read here")
        return named
    found = home_file(".postgresql", in_home)
    return str(found) if found else None


def home_file(*parts: str) -> Path | None:
    """A file in the home folder, if there is one and it can be read."""
    try:
        path = Path.home().joinpath(*parts)
    except (RuntimeError, KeyError):
        return None
    return path if os.access(path, os.R_OK) else None


def _use(name: str, load: Callable[[], None]) -> None:
    try:
        load()
    except (ssl.SSLError, OSError) as error:
        raise ValueError(f"{name} names a file that holds nothing usable") from error


def _version(parameters: Mapping[str, str], name: str, default: str) -> ssl.TLSVersion:
    given = parameters.get(name, default)
    if given not in VERSIONS:
        raise ValueError(f"{name} must be {' or '.join(VERSIONS)}")
    return VERSIONS[given]
