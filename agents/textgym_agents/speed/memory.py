"""The peak memory of one update, each measured in a process of its own: what a process has touched stays with it."""

import gc
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from typing import Any

import torch

from textgym.errors import ConfigError
from textgym_agents.speed.entries import HANDWRITTEN, OURS
from textgym_agents.speed.handwritten import HandwrittenPPO, pad
from textgym_agents.speed.models import Subject, new_model, number_tokenizer
from textgym_agents.speed.rollouts import Shape, random_rollout


@dataclass(frozen=True)
class Update:
    """An update to measure: by ``which`` entry, on one minibatch, with a Llama of these sizes, on a device."""

    which: str = OURS
    rows: int = 32
    new_tokens: int = 128
    vocabulary: int = 50_000
    hidden: int = 256
    layers: int = 4
    threads: int = 1
    device: str = "cpu"


def measure(update: Update) -> dict[str, int]:
    """Start a process for the update. Returns bytes: ``peak`` of the update, and ``before`` it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(in_this_process, update).result()


def in_this_process(job: Update) -> dict[str, int]:
    """Do the one update, and see how far the memory rose above what model and episodes take.

    It is the memory of the accelerator where there is one, else that of the process.
    """
    torch.set_num_threads(job.threads)
    model = new_model("llama", job.vocabulary, hidden=job.hidden, layers=job.layers).to(job.device)
    one, shape = Subject("llama", "", model, number_tokenizer(job.vocabulary)), Shape(job.rows, job.new_tokens)
    if job.which == OURS:
        update: Callable[[], Any] = random_rollout(one, shape).ppo.train
    elif job.which == HANDWRITTEN:
        # The episodes come from a tiny model: what a large one leaves free for others would not be counted.
        tiny = replace(one, model=new_model("llama", job.vocabulary, hidden=8, layers=1))
        batch = pad(random_rollout(tiny, shape).episodes, device=job.device)
        update = partial(HandwrittenPPO(one, lean=True).step, batch)
    else:
        raise ConfigError(f"which is {job.which!r}, expected {OURS!r} or {HANDWRITTEN!r}.")
    gc.collect()
    if job.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(job.device)
        before = torch.cuda.memory_allocated(job.device)
        update()
        return {"peak": torch.cuda.max_memory_allocated(job.device) - before, "before": before}
    before = _bytes("VmRSS")
    update()
    return {"peak": _bytes("VmHWM") - before, "before": before}


def _bytes(name: str) -> int:
    """Bytes that this process holds ("VmRSS") or has held at most ("VmHWM"); without /proc the latter for both."""
    try:
        with open("/proc/self/status", encoding="utf-8") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(f"{name}:"))
    except OSError:
        import resource  # not on Linux, where a new process has the ru_maxrss of its parent

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
