"""Real `taskchat serve` processes: started, frozen, killed, and told to stop."""

import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil
from tests.factories import JWT_SECRET
from tests.faults.waiting import until
from tests.nursery import NURSERY, PROJECT

AGENT_CONFIG = PROJECT / "contracts" / "agent-config.yaml"

LONG_HISTORY = {"TASKCHAT_HISTORY_TOKENS_MAX": "1000000", "TASKCHAT_HISTORY_TURNS_MAX": "1000"}
"""Nothing is trimmed, so that every history can be compared with every other."""


class Service:
    """One process.

    Attributes:
        name: What the model server knows it by.
        pid: Of the process.
        url: Where it serves, once it is ready.
    """

    def __init__(self, fleet: "Fleet", name: str, pid: int, stdout: Path, stderr: Path) -> None:
        self._fleet = fleet
        self.name = name
        self.pid = pid
        self.url = ""
        self._stdout = stdout
        self._stderr = stderr

    @property
    def log(self) -> str:
        """What it has written to stderr."""
        return self._stderr.read_text(encoding="utf-8", errors="replace")

    @property
    def exit_code(self) -> int | None:
        """As `Popen.returncode`; None while it lives."""
        return self._fleet.exit_code(self.pid)

    @property
    def is_frozen(self) -> bool:
        """Whether it is stopped, by whomever."""
        try:
            return bool(psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)
        except psutil.NoSuchProcess:
            return False

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still lives."""
        if self.exit_code is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """As a power cut does."""
        self.signal(signal.SIGKILL)

    def freeze(self) -> None:
        """As a machine that swaps, or a debugger, does."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on as if nothing had happened."""
        self.signal(signal.SIGCONT)

    def terminate(self) -> None:
        """As an orchestrator that wants it gone does."""
        self.signal(signal.SIGTERM)

    async def exited(self, *, within_s: float = 15) -> int:
        """Its exit code, once it has one."""

        async def ended() -> tuple[int] | None:
            code = self.exit_code
            return None if code is None else (code,)

        [code] = await until(ended, within_s=within_s, what=f"{self.name} ends\n{self.log}")
        return code

    async def ready(self, *, within_s: float = 30) -> "Service":
        """Wait until it takes requests."""

        async def announced() -> str | None:
            if self.exit_code is not None:
                raise AssertionError(f"{self.name} did not start:\n{self.log}")
            found = re.search(r"serves on (\S+)", self._stdout.read_text(encoding="utf-8"))
            return found[1] if found else None

        self.url = await until(announced, within_s=within_s, what=f"{self.name} serves")

        async def answers() -> bool:
            if self.exit_code is not None:
                raise AssertionError(f"{self.name} did not stay:\n{self.log}")
            try:
                return (await client.get("/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        async with httpx.AsyncClient(base_url=self.url, timeout=5) as client:
            await until(answers, within_s=within_s, what=f"{self.name} is ready")
        return self


class Fleet:
    """Starts services, all in one environment, and ends them all.

    Args:
        folder: For their logs; they work in it, so that no `.env` reaches them.
        database_url: What they serve from.
        model_url: Which model they ask.
        environment: What else they all are given.
    """

    def __init__(
        self, folder: Path, database_url: str, model_url: str, environment: Mapping[str, str]
    ) -> None:
        self._folder = folder
        config = folder / "agent-config.yaml"
        text = AGENT_CONFIG.read_text(encoding="utf-8")
        text = re.sub(r"tokens_max: \d+", "tokens_max: 1000000", text)
        config.write_text(re.sub(r"turns_max: \d+", "turns_max: 1000", text), encoding="utf-8")
        self._environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": database_url,
            "OPENAI_BASE_URL": model_url,
            # A name that begins with an o is a reasoning model's.
            "TASKCHAT_MODEL": "o-fake",
            "TASKCHAT_JWT_SECRET": JWT_SECRET,
            "TASKCHAT_LOG_FORMAT": "json",
            "TASKCHAT_AGENT_CONFIG_PATH": str(config),
            # A storm of seconds would never see a model again that was away in it for one.
            "TASKCHAT_BREAKER_OPEN_S": "1",
            "TASKCHAT_RATE_USER_PER_MINUTE": "0",
            "TASKCHAT_RATE_CONVERSATION_PER_MINUTE": "0",
            "TASKCHAT_RATE_CHANNEL_PER_MINUTE": "0",
            "TASKCHAT_RATE_TOKENS_PER_MINUTE": "0",
            **LONG_HISTORY,
            **environment,
        }
        self._started = 0
        self._alive: dict[int, Service] = {}

    def launch(
        self, name: str = "", *, module: str = "tests.faults.serve_with_faults", **environment: str
    ) -> Service:
        """Start a service; it is not ready yet."""
        self._started += 1
        name = name or f"p{self._started}"
        stem = self._folder / f"{self._started:03}-{name}"
        stdout, stderr = stem.with_suffix(".out"), stem.with_suffix(".err")
        with open(os.devnull) as null, stdout.open("a") as out, stderr.open("a") as err:
            pid = NURSERY.start(
                module,
                ["serve", "--port", "0"],
                env={**self._environment, "OPENAI_API_KEY": name, **environment},
                folder=self._folder,
                descriptors=(null.fileno(), out.fileno(), err.fileno()),
            )
        service = Service(self, name, pid, stdout, stderr)
        self._alive[service.pid] = service
        return service

    async def start(self, name: str = "", **environment: str) -> Service:
        """Start a service and wait until it takes requests."""
        return await self.launch(name, **environment).ready()

    def exit_code(self, pid: int) -> int | None:
        """Of a service of this fleet; None while it lives."""
        code = NURSERY.poll(pid)
        if code is not None:
            self._alive.pop(pid, None)
        return code

    async def close(self) -> None:
        """Kill what is left."""
        for service in list(self._alive.values()):
            service.kill()
        for service in list(self._alive.values()):
            await service.exited()
