"""A process that only sends, for tests that kill it. Says `ready` once it has begun."""

import asyncio
import os

from taskchat.postgres.database import Database
from taskchat.settings import Settings
from taskchat.webhooks.sending import Sender


async def send_for_ever() -> None:
    settings = Settings(
        _env_file=None,
        database_url=os.environ["DATABASE_URL"],
        webhook_private_addresses=True,
        webhook_timeout_s=float(os.environ["WEBHOOK_TIMEOUT_S"]),
        webhook_retry_s=0.05,
        webhook_retry_max_s=0.2,
        webhook_concurrency=8,
        webhook_hook_concurrency=64,
    )
    sender = Sender(Database(os.environ["DATABASE_URL"], settings), settings)
    print("ready", flush=True)
    while True:
        await sender.work()
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(send_for_ever())
