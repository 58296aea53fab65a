"""`/v1/models`: what a client may ask for."""

from fastapi import APIRouter

from taskchat.auth.dependencies import AuthenticatedByToken
from taskchat.errors import Detail, NotFound
from taskchat.transports.openai_http.shapes import MODEL, ModelInfo, ModelList

router = APIRouter(prefix="/v1/models", tags=["openai"], dependencies=[AuthenticatedByToken])


@router.get("")
async def list_models() -> ModelList:
    """The one model: the assistant, whichever models it asks in turn."""
    return ModelList(data=[ModelInfo()])


@router.get("/{model}")
async def read_model(model: str) -> ModelInfo:
    """A model by its name."""
    if model != MODEL:
        raise NotFound(
            f"There is one model here: {MODEL}.", details=[Detail("model", f"is not {MODEL}")]
        )
    return ModelInfo()
