"""A language model as judge: a rubric of several criteria in one call, and a ranking of a prompt's completions.

python examples/llm_judge.py --base-url http://127.0.0.1:8000/v1 --model NAME   a server with OpenAI's protocol
python examples/llm_judge.py --model Qwen/Qwen3-0.6B                            in this process: a name or a folder
python examples/llm_judge.py                                                    offline: a stand-in behind a server

The stand-in counts words. It is there so that the example runs anywhere; the rest is as with a real judge.
"""

import argparse
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from textgym.core import Sample
from textgym.rewards.judge import LLMJudge, LocalBackend, OpenAIBackend, RankingJudge, parse_rubric

RUBRIC = """
scale = [1, 5]

[criteria.answer]
text = "Does the text say where the harbor is?"
weight = 2
levels.1 = "not at all"
levels.5 = "so that a stranger finds it"

[criteria.fluency]          # a preset: also coherence, relevance, conciseness, harmlessness, helpfulness, faithfulness

[criteria.conciseness]
weight = 0.5
"""
QUESTION = "Where is the harbor?"
TEXTS = (
    " It lies in the north, behind the mill.",
    " It lies in the north, in the north, in the north. I say: in the north.",
    " harbor the the Tuesday of lies mill mill",
)


class StandIn(BaseHTTPRequestHandler):
    """A server that answers as a judge would, by counting words."""

    def do_POST(self) -> None:
        chat = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][-1]["content"]
        texts = re.findall(r"<<TEXT(?: [A-Z])? [0-9a-f]+>>\n(.*?)\n<<END", chat, flags=re.DOTALL)
        asked = re.findall(r"^Score [0-9a-f]+ \w+: N$", chat, flags=re.MULTILINE) or re.findall(r"Score \w+: N", chat)
        qualities = [self.quality(text) for text in texts]
        score = qualities[0] if len(texts) == 1 else 3 - (qualities[0] - qualities[1]) // 2
        reply = "I count words.\n" + "\n".join(line.replace(": N", f": {score}") for line in asked)
        choice = {"index": 0, "message": {"role": "assistant", "content": reply}, "finish_reason": "stop"}
        usage = {"prompt_tokens": len(chat) // 4, "completion_tokens": len(reply) // 4, "total_tokens": 0}
        body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    @staticmethod
    def quality(text: str) -> int:
        """1 to 5: the share of words that are not a repetition, and a sentence's end."""
        words = text.lower().replace(",", "").split()
        return min(5, 1 + round(4 * (len(set(words)) / len(words) - 0.4)) + text.strip().endswith("."))

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="the server's name for its model; without --base-url, a hub name or a folder")
    parser.add_argument("--base-url", help="such as http://127.0.0.1:8000/v1")
    given = parser.parse_args()
    if given.base_url:
        backend = OpenAIBackend(given.model, given.base_url)
    elif given.model:
        backend = LocalBackend(given.model)
    else:
        server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        backend = OpenAIBackend("stand-in", f"http://127.0.0.1:{server.server_port}/v1")

    samples = [Sample(QUESTION, text) for text in TEXTS]
    judge = LLMJudge(parse_rubric(RUBRIC), backend)  # load_rubric("rubric.toml") reads a file
    for sample, score in zip(samples, judge(samples), strict=True):
        parts = ", ".join(f"{name} {score.components[f'judge_{name}']:.3g}" for name in judge.rubric.names)
        print(f"{sample.completion!r}: reward {score.value:.3f} ({parts})")
    print(f"{len(judge.rubric.names)} criteria cost {judge.calls} calls for {len(samples)} texts")

    ranking = RankingJudge("Which text answers the question better?", backend)
    print("Places among the three, by comparing each two in both orders:")
    for sample, score in zip(samples, ranking(samples), strict=True):
        print(f"{sample.completion!r}: {score.value:.2f}")


if __name__ == "__main__":
    main()
