"""A run whose reward is a judge behind a server: what it says before, and that the key is in nothing it writes."""

import json
import logging
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.agents.runs.runs_in_folders import settings
from tests.agents.saved_model import save_tiny_model
from textgym.rewards import REWARDS, register_reward
from textgym.rewards.judge import Account, LLMJudge, OpenAIBackend, Prices, recompute
from textgym_agents.runs import train as training

KEY = "sk-secret-0123456789"


class Echo(BaseHTTPRequestHandler):
    """Repeats the key in each reply and in each error; every third request is one."""

    asked = 0

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        code = re.findall(r"<<END TEXT (\w+)>>", request["messages"][-1]["content"])[0]
        key, number = self.headers["Authorization"], Echo.asked
        Echo.asked += 1
        message = {"role": "assistant", "content": f"The key is {key}.\nScore {code}: {1 + len(code + key) % 5}"}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        body = {"id": "1", "object": "chat.completion", "created": 1, "model": key, "choices": [choice]}
        data = json.dumps({"error": {"message": f"Bad key {key}"}} if number % 3 == 2 else body).encode()
        self.send_response(401 if number % 3 == 2 else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def judge(tmp_path):
    http = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    account = Account(prices=Prices(input=1, output=2))
    backend = OpenAIBackend("m", f"http://127.0.0.1:{http.server_port}/v1", KEY, max_retries=0, account=account)
    folder = tmp_path / "judge"
    judge = LLMJudge("Is it kind?", backend, on_failure="abstain", cache=folder / "cache", audit=folder / "audit.jsonl")
    register_reward("echoing_judge", lambda: judge)
    yield judge
    del REWARDS["echoing_judge"]
    http.shutdown()
    http.server_close()


def test_a_run_says_what_its_judge_will_cost_and_writes_no_key(judge, tmp_path, capfd, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    tiny = save_tiny_model(tmp_path / "tiny")
    kwargs = {"reward": "0.5*echoing_judge + 0.5*bleu", "max_prompt_tokens": 24, "max_new_tokens": 8}
    config = settings(tiny, env_kwargs=kwargs, timesteps=64)
    with pytest.warns(RuntimeWarning) as warned:
        training.train(config, tmp_path / "run", progress=True)
    printed = "".join(capfd.readouterr())
    calls, money = re.search(r"judge: about (\d+) judge calls for \d+ completions, .* money (\S+)", printed).groups()
    took = judge.backend.account.used
    assert took.requests == Echo.asked > 10
    assert 0.4 < int(calls) / judge.calls < 2.5
    assert 0 < float(money) < 0.1
    audit = recompute(tmp_path / "judge" / "audit.jsonl")
    assert audit.differ == ()
    assert audit.agree > 0 < audit.abstained
    written = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.name for path in written} >= {"audit.jsonl", "cache", "state.json", "metrics.jsonl", "config.json"}
    assert [path for path, data in written.items() if KEY.encode() in data] == []
    said = [printed, caplog.text, *(str(warning.message) for warning in warned)]
    assert b"***" in written[tmp_path / "judge" / "audit.jsonl"]  # where the server repeated it
    assert [text for text in said if KEY in text] == []
