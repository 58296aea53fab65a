"""Reloads of pages in the middle of turns, each on another process: `make reloads`.

Real processes on one database, and the AI SDK's own client. At every change of every page it is
checked that nothing is lost and nothing doubled; the program is `tests/clients/ui_reloads.mjs`.
"""

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.clients import node
from tests.e2e.processes import first_line, running, taskchat
from tests.factories import JWT_SECRET, Person

from taskchat.postgres.embedded import ephemeral_data_dir, start_postgres


def main() -> int:
    """Run the campaign; its exit code is the program's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reloads", type=int, default=300)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--chats", type=int, default=6)
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    plan = parser.parse_args()
    modules = node.install()
    configured = {
        "DATABASE_URL": start_postgres(ephemeral_data_dir()),
        "TASKCHAT_JWT_SECRET": JWT_SECRET,
        "TASKCHAT_MODEL": "offline",
        "TASKCHAT_SCRIPT_ALLOWED": "true",
        "TASKCHAT_LOG_LEVEL": "warning",
        **{f"TASKCHAT_RATE_{one}_PER_MINUTE": "0" for one in ("USER", "CONVERSATION", "CHANNEL")},
    }
    person = Person()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        here = Path(folder)
        taskchat("migrate", cwd=here, env=configured)
        services = [
            stack.enter_context(running("serve", "--port", "0", cwd=here, env=configured))
            for _ in range(plan.processes)
        ]
        urls = [first_line(service).split()[-1] for service in services]
        told = {
            "url": urls[0],
            "urls": urls,
            "user": person.user_id,
            "headers": person.headers,
            "seed": plan.seed,
            "reloads": plan.reloads,
            "chats": plan.chats,
            "pace_s": 0.05,
            "between_ms": 500,
        }
        print(f"seed {plan.seed}, {plan.processes} processes", file=sys.stderr)
        began = time.monotonic()
        done = subprocess.run(
            [node.node(), modules.parent / "ui_reloads.mjs", json.dumps(told)],
            env=node.environment(),
            check=False,
        )
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
