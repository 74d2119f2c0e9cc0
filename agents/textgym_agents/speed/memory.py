"""The peak memory of one update, each measured in a process of its own: what a process has touched stays with it.

The process gets a job as JSON and prints what the update took, in bytes.
"""

import gc
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch

from textgym.errors import TextGymError
from textgym_agents.speed import models
from textgym_agents.speed.contestants import HANDWRITTEN, OURS
from textgym_agents.speed.handwritten import HandwrittenPPO, pad
from textgym_agents.speed.texts import Shape, random_rollout


class ChildError(TextGymError, RuntimeError):
    """The process that should have measured memory has failed."""


@dataclass(frozen=True)
class Job:
    """One update to measure.

    Attributes:
        which: "textgym" or "plain PyTorch".
        rows, new_tokens: of the one minibatch.
        vocabulary, hidden, layers: of a Llama-like model.
        threads: of torch.
        device: whose memory it is: an accelerator's own, else the process's.
    """

    which: str = OURS
    rows: int = 32
    new_tokens: int = 128
    vocabulary: int = 50_000
    hidden: int = 256
    layers: int = 4
    threads: int = 1
    device: str = "cpu"


def measure(job: Job) -> dict[str, int]:
    """Start a process for the job. Returns bytes: ``peak`` of the update, and ``before`` it.

    Raises:
        ChildError: the process failed; the message ends with what it said.
    """
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(job.threads),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    command = [sys.executable, "-c", f"from {__name__} import main; main()", json.dumps(asdict(job))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"it ended with code {done.returncode} (not enough memory?)"]
        raise ChildError(f"Measuring the memory of an update failed: {said[-1]}")
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def in_this_process(job: Job) -> dict[str, int]:
    """Do the one update, and see how far the memory rose above what model and texts take."""
    torch.set_num_threads(job.threads)
    model: Any = models.llama(job.vocabulary, job.hidden, job.layers).to(job.device)
    subject = models.Subject("llama", "", model, models.number_tokenizer(job.vocabulary))
    shape = Shape(job.rows, job.new_tokens)
    if job.which == OURS:
        update: Any = random_rollout(subject, shape).ppo.train
    elif job.which == HANDWRITTEN:
        # The texts come from a tiny model: what a large one leaves free for others would not be counted.
        tiny: Any = models.llama(job.vocabulary, hidden=8, layers=1)
        batch = pad(random_rollout(replace(subject, model=tiny), shape).texts, device=job.device)
        update = partial(HandwrittenPPO(subject, lean=True).step, batch)
    else:
        raise ChildError(f"which is {job.which!r}, expected {OURS!r} or {HANDWRITTEN!r}.")
    gc.collect()
    if job.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(job.device)
        before = torch.cuda.memory_allocated(job.device)
        update()
        return {"peak": torch.cuda.max_memory_allocated(job.device) - before, "before": before}
    before = resident()
    update()
    return {"peak": peak() - before, "before": before}


def resident() -> int:
    """Bytes of memory that this process holds now; its peak until now where the system doesn't tell."""
    return _status("VmRSS") or peak()


def peak() -> int:
    """The most bytes of memory that this process has held."""
    told = _status("VmHWM")
    if told is not None:
        return told  # Linux gives a new process the ru_maxrss of the one that started it
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _status(name: str) -> int | None:
    """Bytes from a line of /proc/self/status; None where there is no such file."""
    try:
        with open("/proc/self/status", encoding="utf-8") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith(f"{name}:")), None)
    except OSError:
        return None


def main() -> None:
    """What the process runs: the job in its first argument."""
    print(json.dumps(in_this_process(Job(**json.loads(sys.argv[1])))))
