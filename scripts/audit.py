"""Asks for known vulnerabilities of what the locks name, by pip-audit.

Where nobody can be asked, as on a machine without a network, it says so and passes: an answer that
is not there is no finding.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

TOP: Final = Path(__file__).resolve().parent.parent

SERVICES: Final = ("pypi", "osv")
"""Who is asked; the second one where the first can't be."""

TIMEOUT_S: Final = 300
"""Much longer than an answer for a hundred packages takes."""


def asked(pip_audit: str, lock: Path, service: str) -> list[dict[str, Any]]:
    """What a service says of each package; nothing if it can't be asked."""
    command = (
        *(pip_audit, "--requirement", str(lock), "--require-hashes", "--disable-pip"),
        *("--vulnerability-service", service, "--format", "json", "--progress-spinner", "off"),
        *("--timeout", "10"),
    )
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
        answer: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError):
        return []
    return answer


def main(pip_audit: str, locks: list[str]) -> int:
    """Audit the locks; 1 if something is known of one of their packages."""
    found = 0
    for lock in locks:
        for service in SERVICES:
            packages = asked(pip_audit, TOP / lock, service)
            known = [package for package in packages if "skip_reason" not in package]
            if known:
                break
        bad = [package for package in known if package["vulns"]]
        for package in bad:
            for one in package["vulns"]:
                mended = ", ".join(one["fix_versions"]) or "nothing yet"
                name = f"{package['name']} {package['version']}"
                print(f"{lock}: {name}: {one['id']}, mended in {mended}")
        if known:
            unknown = len(packages) - len(known)
            print(f"{lock}: {len(known)} packages asked for, {len(bad)} with known vulnerabilities")
            if unknown:
                print(f"{lock}: nobody knows of {unknown} packages")
        else:
            print(f"{lock}: nobody could be asked, so nothing was audited")
        found += len(bad)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
