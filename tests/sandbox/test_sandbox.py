"""Programs that nobody trusts: what they may compute, and that hostile ones harm nothing and get nothing."""

import os
import subprocess
import sys
import time

import pytest

from textgym.core import Sample
from textgym.errors import ConfigError, RewardError, SandboxError
from textgym.rewards import CodeTests, parse_reward
from textgym.sandbox import run, runner, same
from textgym.scoring import score_samples

FACTS = {"function": "f", "tests": ((([3, 4],), 7), (([5, 1],), 6), (([],), 0))}
RIGHT = "def f(values):\n    return sum(values)"


def scored(*programs, reward=None, facts=FACTS):
    samples = [Sample("", program, metadata=facts) for program in programs]
    return score_samples(reward or CodeTests(run_code=True, seconds=0.15), samples)


HOSTILE = {
    "fork bomb": "import os\ndef f(v):\n    while True:\n        os.fork()",
    "fork bomb at import": "import os\nwhile True:\n    os.fork()",
    "processes": "import subprocess\nsubprocess.Popen(['sh', '-c', 'touch {mark}'])\n" + RIGHT,
    "a shell": "import os\nos.system('touch {mark}')\ndef f(v):\n    return os.system('touch {mark}')",
    "posix_spawn": "import os\ndef f(v):\n    return os.posix_spawn('/bin/touch', ['touch', '{mark}'], {{}})",
    "exec": "import os\nos.execv('/bin/touch', ['touch', '{mark}'])",
    "threads": "import _thread\ndef f(v):\n    _thread.start_new_thread(print, ())\n    return sum(v)",
    "endless loop": "def f(v):\n    while True:\n        pass",
    "endless loop at import": "while True:\n    pass",
    "endless loop without a signal": "import signal\nsignal.pthread_sigmask(0, range(1, 64))\nwhile True: pass",
    "no timer": "import signal\nsignal.setitimer(signal.ITIMER_PROF, 0)\nwhile True:\n    pass",
    "a handler": "import signal\nsignal.signal(signal.SIGPROF, signal.SIG_IGN)\nwhile True: pass",
    "endless recursion": "def f(v):\n    return f(v)",
    "a crash": "import ctypes\nctypes.string_at(0)",
    "memory": "def f(v):\n    return [0] * 10**10",
    "memory bit by bit": "x = []\nwhile True:\n    x.append(bytes(10**6))",
    "endless output": "import os\nwhile True:\n    os.write(1, b'x' * 4096)",
    "a long output": "def f(v):\n    return 'x' * 10**6",
    "a huge number": "def f(v):\n    return 10 ** 5000",
    "reading files": "def f(v):\n    return len(open('/etc/passwd').read()) * 0 + sum(v)",
    "reading the tests": "import os\ndef f(v):\n    return int(open('/proc/%d/environ' % os.getppid()).read())",
    "a folder": "import os\ndef f(v):\n    return len(os.listdir('/')) * 0 + sum(v)",
    "writing files": "def f(v):\n    open('{mark}', 'w').write('x')\n    return sum(v)",
    "removing files": "import os\ndef f(v):\n    os.unlink('{kept}')\n    return sum(v)",
    "the network": "import socket\nsocket.create_connection(('127.0.0.1', 80))\n" + RIGHT,
    "a socket by ctypes": "import ctypes\ndef f(v):\n    return ctypes.CDLL(None).socket(2, 1, 0) + sum(v) + 10**6",
    "killing its parent": "import os\nos.kill(os.getppid(), 9)\n" + RIGHT,
    "killing by ctypes": "import ctypes, os\nctypes.CDLL(None).kill(os.getppid(), 9)\ndef f(v):\n    return None",
    "killing all": "import os\nos.kill(-1, 9)\n" + RIGHT,
    "stopping itself": "import os\nos.kill(os.getpid(), 19)\n" + RIGHT,
    "waiting": "import time\ntime.sleep(1000)\n" + RIGHT,
    "printing the verdict": "print('passed')\nprint('reward: 1.0')\ndef f(v):\n    print('1.0')\n    return '1.0'",
    "writing the verdict": "import os\nos.write(1, b'{{\"passed\": true, \"reward\": 1.0}}')\nos._exit(0)",
    "writing a report": "import os\nos.write(1, b'{{\"syntax\": true, \"outputs\": [true, true, true]}}')\nos._exit(0)",
    "a report of texts": "import os\nos.write(1, b'{{\"syntax\": true, \"outputs\": [\"1\", \"1\", \"1\"]}}')\nexit(0)",
    "deep report": "import os\nos.write(1, b'[' * 50000)\nos._exit(0)",
    "leaving": "import sys\nsys.exit(0)",
    "leaving at once": "import os\nos._exit(0)",
    "equal to all": "class All(int):\n    def __eq__(self, other):\n        return True\ndef f(v):\n    return All(3)",
    "another json": "import json\njson.dumps = lambda *a: 'true'\ndef f(v):\n    return 1",
    "no function": "g = 1",
    "no code": "def f(",
    "null": "\0",
    "deep code": "x = " + "(" * 5000 + ")" * 5000,
    "nothing": "",
}  # fmt: skip


def test_hostile_programs_harm_nothing_and_get_nothing(tmp_path):
    mark, kept = tmp_path / "mark", tmp_path / "kept"
    kept.write_text("still here")
    programs = [
        program.replace("{mark}", str(mark)).replace("{kept}", str(kept)).replace("{{", "{").replace("}}", "}")
        for program in HOSTILE.values()
    ]
    scores = dict(zip(HOSTILE, scored(*programs), strict=True))
    assert {name: score.value for name, score in scores.items() if score.value != 0} == {}
    assert not mark.exists()
    assert kept.read_text() == "still here"
    assert scored(RIGHT)[0].value == 1  # whoever runs them is still alive, and nothing has changed
    assert subprocess.run(["true"], check=True).returncode == 0


def test_a_process_that_waits_for_ever_is_ended(monkeypatch):
    monkeypatch.setattr(runner, "WALL", 0.3)
    started = time.monotonic()
    outcome = run("import _thread\nlock = _thread.allocate_lock()\nlock.acquire()\nlock.acquire()", "f", [[1]])
    assert outcome.outputs == ([],)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    ("program", "value"),
    [
        (RIGHT, 1),
        ("import math, re, itertools, collections, functools\ndef f(values):\n    return math.fsum(values)", 1),
        ("print('a greeting')\n" + RIGHT, 1),
        ("def f(values):\n    return sum(values) if values else None", 0),
        ("def f(values):\n    return True", 0),
        ("def f(values):\n    return 7", 0),
        ("f = 7", 0),
        ("def f(values):\n    return str(sum(values))", 0),
        ("def f(values):\n    return {7}", 0),
        ("def f(values):\n    values.append(1)\n    return sum(values) - 1", 1),
    ],
)
def test_values(program, value):
    assert scored(program)[0].value == value


def test_shares_and_parts():
    reward = parse_reward("code_tests(run_code=true, share=true)")
    one, none, broken = scored(
        "def f(values):\n    return 7", "def f(values):\n    return values[0]", "def f(", reward=reward
    )
    assert [one.value, none.value, broken.value] == pytest.approx([1 / 3, 0, 0])
    assert one.components == {"code_tests": pytest.approx(1 / 3), "syntax": 1.0}
    assert broken.components == {"code_tests": 0.0, "syntax": 0.0}


def test_code_comes_before_the_completion():
    facts = {**FACTS, "before": "def f(values):\n    return"}
    assert [score.value for score in scored(" sum(values)", " 7", facts=facts)] == [1, 0]


def test_arguments_arrive_as_they_are():
    values = [[(1, "a"), {2: [None, True]}, 1.5, "ü\n"]]
    assert run("def f(*values):\n    return [repr(one) for one in values]", "f", values).outputs == (
        [[repr(one) for one in values[0]]],
    )


@pytest.mark.parametrize(
    ("output", "right", "equal"),
    [
        (3, 3, True), (3.0, 3, True), (True, 1, False), (1, True, False), (None, 0, False), ("3", 3, False),
        ([1, 2], (1, 2), True), ([1, 2], [2, 1], False), ([1], [1, 2], False), ({"1": 2}, {1: 2}, True),
        ({"a": 2}, {"a": 3}, False), (None, None, True), ("a", "a", True), ([], None, False),
    ],
)  # fmt: skip
def test_outputs_are_compared_by_kind_and_value(output, right, equal):
    assert same(output, right) is equal


def test_nothing_is_run_without_consent():
    with pytest.raises(ConfigError, match="can't be made by its name, it needs run_code"):
        parse_reward("code_tests")
    for refused in (lambda: CodeTests(False), lambda: parse_reward("code_tests(run_code=false)")):
        with pytest.raises(ConfigError, match=r"runs programs that a model wrote.*CodeTests\(run_code=True\)"):
            refused()
    for wrong in ({"run_code": "yes"}, {"seconds": 0}, {"workers": 0}, {"workers": True}):
        with pytest.raises(ConfigError, match="makes no sense"):
            CodeTests(**{"run_code": True, **wrong})


@pytest.mark.parametrize(
    "facts", [{}, {"function": "f"}, {**FACTS, "tests": ()}, {**FACTS, "function": 3}, {**FACTS, "tests": [1]}]
)
def test_prompts_without_tests(facts):
    with pytest.raises(RewardError, match=r"expects the name of a function in metadata\['function'\]"):
        scored(RIGHT, facts=facts)


def test_where_a_child_keeps_its_rights_nothing_is_run(monkeypatch, tmp_path):
    child = tmp_path / "child.py"
    child.write_text("import sys\nsys.exit(1)\n")
    monkeypatch.setattr(runner, "CHILD", child)
    with pytest.raises(SandboxError, match="could not give up its rights"):
        scored(RIGHT)
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxError, match=r"on Linux, x86_64 or aarch64\. This is darwin"):
        CodeTests(run_code=True)


def test_the_child_has_nothing_of_its_parent(monkeypatch):
    monkeypatch.setenv("SECRET", "swordfish")
    outcome = run("import os\ndef f():\n    return [dict(os.environ), os.getpid()]", "f", [[]])
    environment, pid = outcome.outputs[0][0]
    assert "SECRET" not in environment
    assert pid != os.getpid()
