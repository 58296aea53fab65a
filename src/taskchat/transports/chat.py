"""`POST /api/{user_id}/chat`: a message, answered with JSON or with a stream of events."""

from fastapi import APIRouter, Request, Response

from taskchat.http.requests import body_schema, read_body
from taskchat.transports.answering import SPEAKING, CurrentExchange
from taskchat.turns.schemas import ChatAnswer, ChatRequest

router = APIRouter(prefix="/api/{user_id}", tags=["chat"], dependencies=SPEAKING)


@router.post("/chat", response_model=ChatAnswer, openapi_extra=body_schema(ChatRequest))
async def chat(request: Request, exchange: CurrentExchange) -> Response:
    """Say something, and get the assistant's answer with the tool calls that it made.

    With `Accept: text/event-stream` the answer is a stream of the turn's events.
    """
    body = await read_body(ChatRequest, request)
    return await exchange.answer(body.message, body.conversation_id)
