"""Whether this installation works: one line per check, each failure with its fix."""

from dataclasses import dataclass

from openai import OpenAIError

from taskchat.assistant.embedding import Embedder, EmbeddingError
from taskchat.assistant.instructions import load_agent_config
from taskchat.assistant.models.names import extra_of, model_names
from taskchat.assistant.models.vendor import vendor_client
from taskchat.auth.keys import check_keys
from taskchat.auth.tokens import TokenVerifier
from taskchat.embeddings.filling import count_unmade
from taskchat.embeddings.repository import has_vectors
from taskchat.errors import DatabaseError
from taskchat.housekeeping.chores import chores_of
from taskchat.housekeeping.keeper import LATE_INTERVALS
from taskchat.housekeeping.repository import standings
from taskchat.moments import utc_now
from taskchat.postgres.database import Database
from taskchat.postgres.faults import FAULTS, reason_of
from taskchat.postgres.migrations import schema_of
from taskchat.refusals import refusal_of
from taskchat.schedules import repository as schedules
from taskchat.settings import OFFLINE, SCRIPTED, Settings
from taskchat.webhooks.store import keeping as webhooks

POSTGRES_MIN = 15
"""The oldest server that is tried."""

CLOCK_S = 5.0
"""Tokens are refused by this clock; a difference well above a network's delay is reported."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        name: Of the check.
        ok: Whether it works.
        text: What is so, or what to do.
        warns: Whether it works and somebody should look after it all the same.
    """

    name: str
    ok: bool
    text: str
    warns: bool = False


async def examine(settings: Settings) -> list[Finding]:
    """Run every check that can still succeed after the earlier ones."""
    findings = []
    for name, check in (
        ("tokens", _identity),
        ("database", _database),
        ("model", _model),
        ("embeddings", _embeddings),
    ):
        try:
            findings += await check(settings)
        except Exception as error:
            findings.append(Finding(name, False, str(refusal_of(error))))
    return findings


async def _identity(settings: Settings) -> list[Finding]:
    if not settings.has_identity:
        return [
            Finding(
                "tokens",
                False,
                "set TASKCHAT_JWT_SECRET, TASKCHAT_JWT_JWKS_URL or TASKCHAT_ACCOUNTS=true",
            )
        ]
    # Built as the service builds it: the environment may not allow a client for the keys.
    await TokenVerifier(settings).close()
    kinds = []
    if settings.jwt_secret:
        kinds.append("HS256 with a shared secret")
    if settings.jwt_jwks_url:
        kinds.append(f"public keys from {settings.jwt_jwks_url}")
    if settings.accounts:
        kinds.append("built-in accounts")
    return [Finding("tokens", True, " and ".join(kinds))]


async def _database(settings: Settings) -> list[Finding]:
    if settings.database_url is None:
        text = "DATABASE_URL is not set; set it, or use taskchat dev"
        return [Finding("database", False, text)]
    database = Database(settings.database_url.get_secret_value(), settings)
    try:
        return await _found_in(database, settings)
    finally:
        await database.close()


async def _found_in(database: Database, settings: Settings) -> list[Finding]:
    try:
        version, now = await database.version()
    except FAULTS as error:
        return [
            Finding("database", False, f"{reason_of(error)}; check DATABASE_URL and the server")
        ]
    findings = [
        Finding("database", True, f"PostgreSQL {version}")
        if version >= POSTGRES_MIN
        else Finding("database", False, f"PostgreSQL {version}; {POSTGRES_MIN} is the oldest")
    ]
    migrated = False
    try:
        schema = await schema_of(database)
    except (DatabaseError, *FAULTS) as error:
        reason = reason_of(error.__cause__ or error)
        findings.append(Finding("migrations", False, f"{reason}; check the server, then try again"))
    else:
        migrated = schema.problem is None
        findings.append(
            Finding("migrations", True, f"at {schema.revision}")
            if schema.problem is None
            else Finding("migrations", False, schema.problem)
        )
        if settings.accounts and schema.problem is None:
            problem = await check_keys(database)
            findings.append(Finding("accounts", problem is None, problem or "can be served"))
    off = abs((utc_now() - now).total_seconds())
    findings.append(
        Finding("clock", True, f"{off:.1f} s from the database's")
        if off <= CLOCK_S
        else Finding("clock", False, f"{off:.0f} s from the database's; synchronise it")
    )
    if migrated:
        findings.append(await _chores(database, settings))
        findings.append(await _webhooks(database))
        findings.append(await _schedules(database, settings))
    return findings


async def _chores(database: Database, settings: Settings) -> Finding:
    """When each chore was last done. That none is, is no failure: perhaps nothing serves yet."""
    names = [chore.name for chore in chores_of(settings)]
    late_s = LATE_INTERVALS * settings.chore_interval_s
    async with database.spare_transaction() as connection:
        found = await standings(connection, names, late_s=late_s)
    if not found:
        return Finding("chores", True, "none was ever due; processes that serve do them")
    done = {row.name: "never" if row.ago_s is None else f"{_span(row.ago_s)} ago" for row in found}
    late = [
        f"{row.name} ({done[row.name]}" + (f", {row.error} × {row.failures})" if row.error else ")")
        for row in found
        if row.late
    ]
    if late:
        text = f"overdue: {', '.join(late)}; see that processes serve, and what they log of it"
        return Finding("chores", True, text, warns=True)
    return Finding("chores", True, ", ".join(f"{name} {ago}" for name, ago in done.items()))


async def _webhooks(database: Database) -> Finding:
    """What waits for hooks, and which of them nothing gets through to."""
    async with database.spare_transaction() as connection:
        found = await webhooks.standing(connection)
    text = (
        f"{found.hooks:,} of users, {found.paused:,} paused by failures; {found.pending:,} events "
        f"wait, {found.dead:,} dead"
    )
    return Finding("webhooks", True, text, warns=bool(found.paused or found.dead))


async def _schedules(database: Database, settings: Settings) -> Finding:
    """What is to be said, and what nobody could say in time."""
    async with database.spare_transaction() as connection:
        active, overdue = await schedules.standing(
            connection, overdue_s=settings.schedule_late_after_s
        )
    text = f"{active:,} active" + (f", {overdue:,} overdue" if overdue else "")
    return Finding("schedules", True, text, warns=overdue > 0)


def _span(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


async def _embeddings(settings: Settings) -> list[Finding]:
    if settings.embedding_model is None:
        return []
    embedder = Embedder(settings)
    try:
        [vector] = await embedder.vectors(["hello"], timeout_s=5)
    except EmbeddingError as error:
        text = (
            f"{embedder.model}: {error.reason}; check TASKCHAT_EMBEDDING_MODEL, its key and "
            "its address"
        )
        return [Finding("embeddings", False, text)]
    finally:
        await embedder.close()
    findings = [Finding("embeddings", True, f"{embedder.model}, {len(vector):,} numbers")]
    if settings.database_url is not None:
        database = Database(settings.database_url.get_secret_value(), settings)
        try:
            findings.append(await _vectors(database, embedder.key))
        finally:
            await database.close()
    return findings


async def _vectors(database: Database, model: str) -> Finding:
    async with database.system_transaction() as connection:
        if not await has_vectors(connection):
            text = (
                "the database has no extension vector, so that searches compare words alone; run "
                "CREATE EXTENSION vector in it"
            )
            return Finding("vectors", False, text)
    waiting, left_alone = await count_unmade(database, model)
    return Finding("vectors", True, f"{waiting:,} to be made, {left_alone:,} left alone")


async def _model(settings: Settings) -> list[Finding]:
    findings = []
    for name in model_names(settings, load_agent_config(settings)):
        if name == OFFLINE:
            findings.append(Finding("model", True, "offline, built in"))
            continue
        if name == SCRIPTED:
            findings.append(Finding("model", True, f"scripted, by {settings.script}"))
            continue
        if extra_of(name):
            findings.append(Finding("model", True, f"{name}: not asked, its vendor is another"))
            continue
        async with vendor_client(settings, timeout=5) as client:
            try:
                await client.models.retrieve(name)
            except OpenAIError as error:
                text = (
                    f"{name}: {type(error).__name__}; check OPENAI_API_KEY, OPENAI_BASE_URL and "
                    "TASKCHAT_MODEL"
                )
                findings.append(Finding("model", False, text))
            else:
                findings.append(Finding("model", True, name))
    return findings
