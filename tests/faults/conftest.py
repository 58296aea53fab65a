"""One cluster, one model and one steady process for all tests of faults; victims come and go."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.faults.cluster import Cluster
from tests.faults.model_server import ModelServer
from tests.faults.processes import Fleet, Service
from tests.faults.stage import SHORT_LEASE, Stage


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """For logs and the cluster.

    None of pytest's own: those are closed to other users, and as root the cluster has another.
    """
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster that may be stopped and killed."""
    cluster = Cluster(folder / "cluster")
    yield cluster
    cluster.close()


@pytest.fixture(scope="session")
async def faults_url(cluster: Cluster) -> str:
    """A migrated database in it."""
    return await cluster.make_database("faults")


@pytest.fixture(scope="session")
async def model() -> AsyncIterator[ModelServer]:
    """The model that all processes ask."""
    async with ModelServer() as model:
        yield model


@pytest.fixture(scope="session")
async def fleet(folder: Path, faults_url: str, model: ModelServer) -> AsyncIterator[Fleet]:
    """Starts processes."""
    fleet = Fleet(folder, faults_url, model.url, SHORT_LEASE)
    yield fleet
    await fleet.close()


@pytest.fixture(scope="session")
async def steady_process(fleet: Fleet) -> Service:
    """The process that outlives the others."""
    return await fleet.start("steady")


@pytest.fixture
async def stage(
    cluster: Cluster,
    faults_url: str,
    model: ModelServer,
    fleet: Fleet,
    steady_process: Service,
) -> AsyncIterator[Stage]:
    """Everything that a test of a crash point needs, and a user of its own."""
    stage = Stage(cluster, faults_url, model, fleet, steady_process)
    yield stage
    await stage.close()
