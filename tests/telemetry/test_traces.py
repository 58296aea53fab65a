"""One trace from a request to its SQL, over a takeover too; nothing of what was said is in it."""

import asyncio
import contextlib
import gzip
import json
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from agents.testing import ModelCall, ModelStep, ScriptedModel
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, format_trace_id
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, calls_tool, says, scripted
from tests.live.served import served, socket
from tests.mcp_http.clients import ERAS, connected
from tests.search.endpoint import Endpoint
from tests.telemetry.test_logs import written
from tests.turns.test_takeover import expire, hangs_after, sweep

from taskchat import __version__
from taskchat.app import create_app
from taskchat.assistant.embedding import Embedder
from taskchat.assistant.models.asking import NamedModel
from taskchat.refusals import BadConfiguration
from taskchat.settings import Settings
from taskchat.telemetry.otel import OpenTelemetry
from taskchat.telemetry.traces import inner_span, span, traced_by

PRIVATE = "a-private-word"

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Spans:
    """What was traced."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def all(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [one for one in self.all() if one.name == name]

    def path(self, of: ReadableSpan) -> list[str]:
        """Its name, and those of what it is within, up to the top."""
        known = {one.context.span_id: one for one in self.all() if one.context}
        above = known.get(of.parent.span_id) if of.parent else None
        return [of.name, *(self.path(above) if above else [])]

    def traces(self) -> set[str]:
        return {format_trace_id(one.context.trace_id) for one in self.all() if one.context}


@contextlib.contextmanager
def tracing(*, content: bool = False) -> Iterator[Spans]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with traced_by(OpenTelemetry(provider, content=content)):
        yield Spans(exporter)


def facts(one: ReadableSpan) -> dict[str, Any]:
    return dict(one.attributes or {})


async def test_a_request_its_turn_its_model_calls_its_tools_and_their_sql_are_one_trace(
    running_app: AppMaker,
) -> None:
    person = Person()
    _, chain = scripted(
        [calls_tool("add_task", {"title": PRIVATE}, call_id="call_1")], says(PRIVATE)
    )
    async with running_app(chain=chain) as running:
        with tracing() as spans:
            answer = await person.say(running.client, PRIVATE)
    turn_id, conversation_id = answer.json()["turn_id"], answer.json()["conversation_id"]
    http = "POST /api/{user_id}/chat"
    agent = "invoke_agent taskchat"
    paths = [spans.path(one) for one in spans.all()]
    assert len(spans.traces()) == 1
    assert [http] in paths
    assert ["turn_begin_5", http] in paths
    assert ["chat scripted", agent, "turn", http] in paths
    assert ["turn_call_2", "execute_tool add_task", agent, "turn", http] in paths
    assert ["turn_settle_2", "turn", http] in paths
    [request], [turn] = spans.named(http), spans.named("turn")
    assert facts(request) == {
        "http.request.method": "POST",
        "http.route": "/api/{user_id}/chat",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "taskchat.request_id": answer.headers["x-request-id"],
    }
    assert facts(turn) == {
        "taskchat.turn.id": turn_id,
        "taskchat.turn.attempt": 1,
        "taskchat.turn.channel": "rest",
        "taskchat.turn.outcome": "completed",
        "gen_ai.conversation.id": conversation_id,
    }
    calls = spans.named("chat scripted")
    assert len(calls) == 2
    assert facts(calls[0]) | {"gen_ai.response.id": ""} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "taskchat",
        "gen_ai.request.model": "scripted",
        "gen_ai.conversation.id": conversation_id,
        "gen_ai.response.id": "",
        "gen_ai.usage.input_tokens": facts(calls[0])["gen_ai.usage.input_tokens"],
        "gen_ai.usage.output_tokens": facts(calls[0])["gen_ai.usage.output_tokens"],
        "gen_ai.usage.cache_read.input_tokens": 0,
    }
    assert facts(spans.named("execute_tool add_task")[0]) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "add_task",
        "gen_ai.tool.call.id": "call_1",
        "gen_ai.tool.type": "function",
    }
    everything = "".join(one.to_json() for one in spans.all())
    for secret in (PRIVATE, person.user_id, person.headers["Authorization"][7:]):
        assert secret not in everything


async def test_what_was_said_is_in_a_trace_only_if_a_setting_allows_it(
    running_app: AppMaker,
) -> None:
    _, chain = scripted(
        [calls_tool("add_task", {"title": "Milk"}, call_id="call_1")], says("Added.")
    )
    async with running_app(chain=chain) as running:
        with tracing(content=True) as spans:
            await Person().say(running.client, "Buy milk")
    first, second = (facts(one) for one in spans.named("chat scripted"))
    assert json.loads(first["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "Buy milk"}]}
    ]
    [instructions] = json.loads(first["gen_ai.system_instructions"])
    assert instructions["type"] == "text"
    call = {"type": "tool_call", "id": "call_1", "name": "add_task", "arguments": {"title": "Milk"}}
    assert json.loads(first["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [call], "finish_reason": "tool_call"}
    ]
    told = json.loads(second["gen_ai.input.messages"])
    assert [message["role"] for message in told] == ["user", "assistant", "tool"]
    result = {"task_id": 1, "status": "created", "title": "Milk"}
    assert told[2]["parts"] == [{"type": "tool_call_response", "id": "call_1", "response": result}]
    [tool] = spans.named("execute_tool add_task")
    assert json.loads(facts(tool)["gen_ai.tool.call.arguments"]) == {"title": "Milk"}
    assert json.loads(facts(tool)["gen_ai.tool.call.result"]) == result


async def test_a_turn_that_another_process_takes_over_stays_in_its_trace(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    _, chain, hanging = hangs_after([calls_tool("add_task", {"title": "Milk"})])
    _, others = scripted(says("Added."))
    with tracing() as spans:
        async with running_app(chain=chain) as first, running_app(chain=others) as second:
            headers = {**person.headers, "traceparent": PARENT}
            said = asyncio.create_task(
                first.client.post(person.chat_path, json={"message": "hello"}, headers=headers)
            )
            await hanging.wait()
            await expire(superuser, person, first)
            await sweep(second)
            async with asyncio.timeout(60):
                while not (
                    adopted := [
                        one
                        for one in spans.named("turn")
                        if facts(one)["taskchat.turn.attempt"] == 2
                    ]
                ):
                    await asyncio.sleep(0.01)
            said.cancel()
            await asyncio.gather(said, return_exceptions=True)
    [turn] = adopted
    assert turn.context is not None
    assert turn.parent is not None
    assert format_trace_id(turn.context.trace_id) == PARENT.split("-")[1]
    assert facts(turn)["taskchat.turn.taken_over"] == "unknown"
    [call] = spans.named("chat scripted")
    assert spans.path(call)[:3] == ["chat scripted", "invoke_agent taskchat", "turn"]
    # Both attempts are within the request that brought the message, wherever that was.
    assert {one.parent.span_id for one in spans.named("turn") if one.parent} == {
        turn.parent.span_id
    }


async def test_a_failure_is_told_by_its_class_and_not_by_its_words(running_app: AppMaker) -> None:
    def fail(_call: ModelCall) -> Any:
        raise RuntimeError(PRIVATE)

    model = ScriptedModel([ModelStep.respond(fail)])
    async with running_app(chain=[NamedModel("scripted", model)], model_retries_max=0) as running:
        with tracing() as spans:
            await Person().say(running.client, "hello")
    told = {one.name: (one.status.status_code, facts(one).get("error.type")) for one in spans.all()}
    assert told["POST /api/{user_id}/chat"] == (StatusCode.ERROR, "502")
    assert told["chat scripted"] == (StatusCode.ERROR, "RuntimeError")
    assert told["invoke_agent taskchat"] == (StatusCode.ERROR, "model_error")
    assert told["turn"][0] is StatusCode.UNSET
    assert facts(spans.named("turn")[0])["taskchat.turn.outcome"] == "failed"
    assert PRIVATE not in "".join(one.to_json() for one in spans.all())


async def test_a_frame_and_a_tool_call_from_outside_begin_traces_and_probes_do_not(
    offline_app: RunningApp,
) -> None:
    person = Person()
    with tracing() as spans:
        async with served(offline_app) as url:
            async with socket(url, person) as one:
                await one.send("message", content="hello")
                await one.until("turn_completed")
            async with connected(url, person, ERAS[1]) as client:
                await client.call_tool("list_tasks", {})
        for probe in ("/livez", "/readyz", "/metrics"):
            await offline_app.client.get(probe)
    paths = [spans.path(one) for one in spans.all()]
    assert ["turn", "websocket message"] in paths
    assert ["execute_tool list_tasks", "POST /mcp"] in paths
    assert not [
        one.name for one in spans.all() if one.parent is None and one.name.startswith("GET")
    ]


async def test_the_lines_of_a_turn_carry_the_ids_of_its_request_conversation_and_trace(
    running_app: AppMaker,
) -> None:
    _, chain = scripted(says("Hello."))
    async with running_app(chain=chain) as running:
        with tracing() as spans, written() as lines:
            answer = await Person().say(running.client, "hello")
    [line] = [
        line
        for line in map(json.loads, lines.getvalue().splitlines())
        if line["event"] == "turn.completed"
    ]
    [request] = spans.named("POST /api/{user_id}/chat")
    [turn] = spans.named("turn")
    assert turn.context is not None
    assert facts(request)["taskchat.request_id"] == answer.headers["x-request-id"]
    assert facts(turn)["taskchat.turn.id"] == answer.json()["turn_id"]
    assert facts(turn)["gen_ai.conversation.id"] == answer.json()["conversation_id"]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert line["turn_id"] == answer.json()["turn_id"]
    assert line["conversation_id"] == answer.json()["conversation_id"]
    assert {line["trace_id"]} == spans.traces()
    assert line["span_id"] == f"{turn.context.span_id:016x}"


def test_what_goes_on_after_its_span_is_over_is_not_traced() -> None:
    with tracing() as spans:
        with inner_span("nobody asked"):
            pass
        with span("outer"), inner_span("inner"):
            pass
    assert [one.name for one in spans.all()] == ["inner", "outer"]


async def test_a_search_traces_its_embedding_model_and_background_work_does_not(
    settings: Settings,
) -> None:
    endpoint = Endpoint()
    async with endpoint.serving():
        changes = {"embedding_model": "m", "embedding_base_url": endpoint.url}
        embedder = Embedder(settings.model_copy(update=changes))
        with tracing() as spans:
            await embedder.vectors(["milk"], timeout_s=20)
            with span("a search"):
                await embedder.vectors([PRIVATE], timeout_s=20)
        await embedder.close()
    assert [spans.path(one) for one in spans.all()] == [
        ["embeddings m", "a search"],
        ["a search"],
    ]
    assert PRIVATE not in "".join(one.to_json() for one in spans.all())


async def test_an_endpoint_without_the_libraries_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "taskchat.telemetry.otel", None)
    app = create_app(settings.model_copy(update={"otlp_endpoint": "http://127.0.0.1:4318"}))
    with pytest.raises(BadConfiguration, match=r"taskchat\[otel\]"):
        async with app.router.lifespan_context(app):
            pass


class Collector(BaseHTTPRequestHandler):
    """Takes what an exporter posts."""

    received: ClassVar[list[tuple[str, ExportTraceServiceRequest]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers["content-encoding"] == "gzip":
            body = gzip.decompress(body)
        self.received.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


async def test_a_collector_is_sent_the_spans_of_a_process_by_its_name(
    running_app: AppMaker,
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        async with running_app(otlp_endpoint=address) as running:
            process = running.turns.process
            await Person().say(running.client, "hello")
        server.shutdown()
    assert {path for path, _ in Collector.received} == {"/v1/traces"}
    [resource] = {
        tuple(
            (fact.key, fact.value.string_value)
            for fact in sent.resource.attributes
            if fact.key.startswith("service.")
        )
        for _, request in Collector.received
        for sent in request.resource_spans
    }
    assert dict(resource) == {
        "service.name": "taskchat",
        "service.version": __version__,
        "service.instance.id": str(process),
    }
    names = {
        one.name
        for _, request in Collector.received
        for sent in request.resource_spans
        for scope in sent.scope_spans
        for one in scope.spans
    }
    assert {"POST /api/{user_id}/chat", "turn", "chat offline", "turn_begin_5"} <= names
