"""Structured output and log-probabilities of a server: used where it has them, given up where it refuses them."""

import json
import math
import pickle
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from textgym.core import Sample
from textgym.errors import JudgeError
from textgym.rewards.judge import Criterion, LLMJudge, OpenAIBackend, Rubric, Verdict, recompute
from textgym.rewards.judge.backends.logprobs import with_probabilities
from textgym.rewards.judge.prompt import Chat, judge_messages
from textgym.rewards.judge.reading import parse_verdict

TWO = Rubric((Criterion("Is it kind?", "kind", weight=3), Criterion("Is it short?", "short")))


def tokens_of(text: str, doubts: dict[int, dict[str, float]]) -> list[dict[str, object]]:
    """One token per character; the n-th digit that is a token alone has the doubts of n."""
    found, number = [], 0
    for character in text:
        top = {character: 1.0}
        if character.isdigit():
            top, number = doubts.get(number, top), number + 1
        candidates = [{"token": token, "logprob": math.log(p)} for token, p in top.items()]
        found.append({"token": character, "logprob": 0.0, "top_logprobs": candidates})
    return found


class Server:
    """Replies by the schema that it gets, or in lines; refuses the fields in ``refused`` and ignores the rest."""

    def __init__(self) -> None:
        self.refused: dict[str, tuple[int, str]] = {}
        self.has_logprobs = self.has_schemas = True
        self.broken_schemas = False
        self.requests: list[dict[str, object]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append(request)
                status, body = server.answer(request)
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, request: dict[str, object]) -> tuple[int, dict[str, object]]:
        for field, (status, message) in self.refused.items():
            if field in request:
                return status, {"error": {"message": message}}
        code = request["messages"][-1]["content"].split(">>")[0].split()[-1]
        text = f"Fine.\nScore {code}: 4"
        if "response_format" in request and self.has_schemas:
            properties = request["response_format"]["json_schema"]["schema"]["properties"]
            names = list(properties.get("scores", {}).get("properties", ()))
            scores = {"scores": dict.fromkeys(names, 4)} if names else {"score": 4}
            text = json.dumps({"explanation": "It says: score: 4.", "code": code, **scores})
            text = "{" * 9 if self.broken_schemas else text
        message = {"role": "assistant", "content": text}
        choice: dict[str, object] = {"index": 0, "finish_reason": "stop", "message": message}
        if "logprobs" in request and self.has_logprobs:
            tail = text[text.index(code) + len(code) :] if code in text else text
            digits = sum(character.isdigit() for character in text[: len(text) - len(tail)])
            doubts = {digits + n: {"4": 0.6, "5": 0.2, "9": 0.1} for n in range(2)}
            choice["logprobs"] = {"content": tokens_of(text, doubts)}
        return 200, {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


@pytest.fixture
def server() -> Iterator[Server]:
    fake = Server()
    yield fake
    fake.http.shutdown()
    fake.http.server_close()


def judged(server: Server, rubric: Rubric | str = "Is it kind?", texts: int = 1, **kwargs: object) -> list[object]:
    backend = OpenAIBackend("m", server.url, **{"max_retries": 1, "first_wait": 0.001, **kwargs})
    judge = LLMJudge(rubric, backend, max_concurrency=1)
    return [judge([Sample("Say.", f"Text {i}.")])[0] for i in range(texts)]


def fields(request: dict[str, object]) -> set[str]:
    return {"response_format", "logprobs", "top_logprobs"} & request.keys()


def test_the_score_is_the_expected_value_of_a_structured_reply(server: Server, tmp_path) -> None:
    backend = OpenAIBackend("m", server.url)
    judge = LLMJudge(TWO, backend, audit=tmp_path / "log")
    (score,) = judge([Sample("Say.", "Text.")])
    assert score.components["judge_score"] == pytest.approx(4.25)
    assert score.components["judge_kind"] == score.components["judge_short"] == pytest.approx(4.25)
    assert score.components["judge_label_mass"] == pytest.approx(0.8)
    (request,) = server.requests
    schema = request["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]) == ["explanation", "code", "scores"]
    assert schema["properties"]["scores"]["required"] == ["kind", "short"]
    assert fields(request) == {"response_format", "logprobs", "top_logprobs"}
    assert recompute(tmp_path / "log").agree == 1


def test_a_server_that_ignores_the_fields_is_read_as_before(server: Server) -> None:
    server.has_schemas = False
    assert judged(server)[0].components["judge_score"] == pytest.approx(4.25)  # log-probabilities of a line
    server.has_logprobs = False
    assert judged(server)[0].components == {"judge_score": 4.0, "judge_gated": 0.0}


@pytest.mark.parametrize(
    ("refused", "requests", "left"),
    [
        ({"logprobs": (400, "logprobs are not supported")}, 4, {"response_format"}),
        ({"response_format": (422, "unknown field")}, 5, {"logprobs", "top_logprobs"}),
        ({"response_format": (400, "json_schema is not supported")}, 4, {"logprobs", "top_logprobs"}),
        ({"response_format": (400, "no"), "logprobs": (403, "You may not request logprobs")}, 6, set()),
    ],
)
def test_a_field_that_a_server_refuses_is_left_out_for_good(
    server: Server, refused: dict[str, tuple[int, str]], requests: int, left: set[str]
) -> None:
    server.refused = refused
    assert [score.components["judge_gated"] for score in judged(server, texts=3)] == [0.0] * 3
    assert fields(server.requests[-1]) == left
    assert len(server.requests) == requests


def test_what_was_answered_once_is_not_suspected(server: Server) -> None:
    backend = OpenAIBackend("m", server.url, max_retries=0)
    judge = LLMJudge("Is it kind?", backend)
    judge([Sample("Say.", "Text.")])
    server.refused = {"model": (400, "the text is too long")}
    with pytest.raises(JudgeError, match="too long"):
        judge([Sample("Say.", "Another.")])
    assert len(server.requests) == 2
    fresh = OpenAIBackend("m", server.url, max_retries=0)
    with pytest.raises(JudgeError, match="too long"):
        LLMJudge("Is it kind?", fresh)([Sample("Say.", "Another.")])
    server.refused = {}
    LLMJudge("Is it kind?", pickle.loads(pickle.dumps(fresh)))([Sample("Say.", "Another.")])
    assert len(fields(server.requests[-1])) == 3


def test_a_reply_without_a_verdict_is_asked_again_in_plain_words(server: Server) -> None:
    server.broken_schemas = True
    (score,) = judged(server)
    assert score.value == pytest.approx(3.25 / 4)
    assert [len(fields(request)) for request in server.requests] == [3, 2]


def test_both_can_be_switched_off(server: Server) -> None:
    assert judged(server, structured=False, logprobs=False)[0].value == 0.75
    assert fields(server.requests[0]) == set()


CHAT = judge_messages("Is it kind?", "Text.")
PAIR = judge_messages(TWO, "Text.")


@pytest.mark.parametrize(
    ("chat", "reply", "doubts", "score"),
    [
        (CHAT, "Kind.\nScore CODE: 4", {0: {"4": 0.5, "3": 0.5}}, 3.5),
        (CHAT, "**Score CODE:** 4/5", {0: {"4": 0.6, "2": 0.3}}, (4 * 0.6 + 2 * 0.3) / 0.9),
        (CHAT, '{"explanation": "4 of 5", "code": "CODE", "score": 4}', {2: {"4": 0.75, "5": 0.25}}, 4.25),
        (CHAT, '{"score": 4, "code": "CODE"}', {0: {" 4": 0.4, "4": 0.2, "5": 0.4}}, 4.4),
        (PAIR, "Score CODE kind: 4\nScore CODE short: 2", {0: {"4": 0.5, "5": 0.5}}, (3 * 4.5 + 2) / 4),
        (CHAT, "It says score: 4.\nScore CODE: 4", {0: {"1": 1.0}, 1: {"4": 0.9, "3": 0.1}}, 3.9),
        (CHAT, "Score CODE: 4", {0: {"4": 0.3, "A": 0.6}}, 4),  # the levels say too little
        (CHAT, "Score CODE: four", {}, 4),
        (CHAT, "A 4 it is: 4, Score CODE", {0: {"1": 1.0}, 1: {"1": 1.0}}, None),
    ],
)
def test_the_place_of_the_score_in_a_reply(
    chat: Chat, reply: str, doubts: dict[int, dict[str, float]], score: float | None
) -> None:
    plain = chat.code.translate(str.maketrans("0123456789", "abcdefabcd"))  # so that digits are those that follow
    messages = [{**message, "content": message["content"].replace(chat.code, plain)} for message in chat]
    chat = Chat(messages, plain, chat.rubric)
    reply = reply.replace("CODE", plain)
    tokens = json.loads(json.dumps(tokens_of(reply, doubts)), object_hook=lambda d: SimpleNamespace(**d))
    if score is None:
        with pytest.raises(JudgeError):
            parse_verdict(reply, chat)
        return
    verdict = with_probabilities(parse_verdict(reply, chat), chat, tokens)
    assert verdict.score == pytest.approx(score)


def test_a_scale_of_two_digits_is_read_as_it_is_written() -> None:
    chat = judge_messages(Rubric((Criterion("Is it kind?"),), highest=10), "Text.")
    verdict, tokens = Verdict(1), [SimpleNamespace(token="1", top_logprobs=[SimpleNamespace(token="1", logprob=0.0)])]
    assert with_probabilities(verdict, chat, tokens) is verdict
    assert with_probabilities(verdict, CHAT, None) is verdict
