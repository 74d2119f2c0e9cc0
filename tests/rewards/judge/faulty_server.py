"""A server that speaks the OpenAI chat protocol, judges texts, and fails in nine ways."""

import json
import random
import re
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FAULTS = ("429", "500", "hang", "truncated", "empty", "refusal", "wrong format", "out of range", "cut")
Answer = tuple[int, bytes, dict[str, str]]


def reply(text: str | None, finish: str = "stop", refusal: str | None = None) -> Answer:
    message = {"role": "assistant", "content": text, "refusal": refusal}
    choice = {"index": 0, "finish_reason": finish, "message": message}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return 200, json.dumps(body).encode(), {}


class FaultyServer:
    """Fails at random for a share of its requests; otherwise it scores "Text i." with 1 + i % 5.

    Another ``read`` and ``score`` are for other texts.
    """

    def __init__(self, share: float) -> None:
        self.share, self.kinds, self.hang = share, FAULTS, 3.5
        self.random, self.lock = random.Random(0), threading.Lock()
        self.scored: Counter[Any] = Counter()
        self.faults: Counter[str] = Counter()
        self.contents: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                try:
                    status, body, headers = server.answer(request["messages"][-1]["content"])
                    self.send_response(status)
                    for name, value in {"Content-Type": "application/json", **headers}.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # the client has given up

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()

    def read(self, content: str) -> Any:
        """What it scores."""
        return int(re.findall(r"Text (\d+)\.", content)[0])

    def score(self, what: Any) -> int:
        return 1 + int(what) % 5

    def answer(self, content: str) -> Answer:
        what = self.read(content)
        code = re.findall(r"<<END TEXT (\w+)>>", content)[0]
        with self.lock:
            fault = self.random.choice(self.kinds) if self.random.random() < self.share else ""
            self.contents.append(content)
            if fault:
                self.faults[fault] += 1
            else:
                self.scored[what] += 1
        verdict = f"Fine.\nScore {code}: {self.score(what)}"
        if fault == "hang":
            time.sleep(self.hang)
        answers = {
            "429": (429, b"{}", {"Retry-After": "0.01"}),
            "500": (500, b"oops", {}),
            "truncated": (200, reply(verdict)[1][:-25], {}),
            "empty": reply(""),
            "refusal": reply(None, refusal="I can't judge this."),
            "wrong format": reply("I like it: Score: 5"),
            "out of range": reply(f"Score {code}: 9"),
            "cut": reply(f"Score {code}: 5", "length"),
        }
        return answers.get(fault, reply(verdict))
