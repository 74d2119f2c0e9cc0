"""TRL's RLOO and GRPO on the same model, prompts and lengths, where TRL is installed.

TRL's own training loop runs unmodified. After each of its steps textgym has its turn, so that the two alternate.
"""

import importlib
import importlib.util
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from transformers import PrinterCallback, TrainerCallback

from textgym_agents.speed.contestants import OURS, begin, collect, touch
from textgym_agents.speed.measure import Progress, Series, nobody, synchronize
from textgym_agents.speed.models import Subject, prompts
from textgym_agents.speed.texts import OPTIMIZER, PPO_ARGUMENTS, Shape, make_ppo

TRAINERS = {"RLOO": ("RLOOTrainer", "RLOOConfig"), "GRPO": ("GRPOTrainer", "GRPOConfig")}


def installed() -> bool:
    """Whether TRL can be imported."""
    return importlib.util.find_spec("trl") is not None


class _Clock(TrainerCallback):
    """Knows when TRL's step began, had its completions, and ended; then it is textgym's turn."""

    def __init__(self, after: Callable[[], None], device: str) -> None:
        self.after, self.device = after, device
        self.generated, self.updated = [], []  # type: tuple[list[float], list[float]]
        self.began = 0.0

    def now(self) -> float:
        synchronize(self.device)
        return time.perf_counter()

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self.began = self.now()

    def completions_are_there(self) -> None:
        self.ready = self.now()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.generated.append(self.ready - self.began)
        self.updated.append(self.now() - self.ready)
        self.after()


class _Ours:
    """One rollout and one update of PPO at a time, timed apart."""

    def __init__(self, ppo: PPO, device: str) -> None:
        self.ppo, self.device = ppo, device
        self.callback = begin(ppo)
        self.generated, self.updated = [], []  # type: tuple[list[float], list[float]]

    def turn(self) -> None:
        touch(self.ppo.policy)
        moments = []
        for work in (lambda: None, lambda: collect(self.ppo, self.callback), self.ppo.train):
            work()
            synchronize(self.device)
            moments.append(time.perf_counter())
        self.generated.append(moments[1] - moments[0])
        self.updated.append(moments[2] - moments[1])


def time_trl(
    algorithm: str, subject: Subject, shape: Shape, repeats: int, progress: Progress = nobody
) -> dict[str, tuple[Series, Series]]:
    """Our and TRL's times, by "rollout" and "update".

    Both write ``shape.rows`` completions of equal length and take one optimiser step over all their tokens. TRL's
    rollout is all that it does until it has its batch: generation, rewards, advantages and, in RLOO, the old
    log-probabilities. Its update is the rest of the step.

    Args:
        algorithm: "RLOO" or "GRPO".
        subject: a decoder-only model.
        shape: of equal lengths, with a ``group`` of at least 2 that divides the rows.
        repeats: after one that isn't counted.
        progress: is told of the turns.
    """
    device = str(subject.model.device)
    ours = _Ours(make_ppo(subject, shape), device)
    turns = 0

    def after() -> None:
        nonlocal turns
        ours.turn()
        turns += 1
        progress(turns, repeats + 1)

    with _random_state_kept(), tempfile.TemporaryDirectory() as folder:
        clock = _Clock(after, device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            trainer = _trainer(algorithm, subject, shape, repeats + 1, folder, clock)
            trainer.remove_callback(PrinterCallback)
            trainer.train()
    work = (float(shape.rows * shape.new_tokens),) * repeats
    return {
        "rollout": (
            Series(OURS, work, tuple(ours.generated[1:])),
            Series(f"TRL's {algorithm}", work, tuple(clock.generated[1:])),
        ),
        "update": (
            Series(OURS, work, tuple(ours.updated[1:])),
            Series(f"TRL's {algorithm}", work, tuple(clock.updated[1:])),
        ),
    }


def _trainer(algorithm: str, subject: Subject, shape: Shape, steps: int, folder: str, clock: _Clock) -> Any:
    """TRL's trainer, with all that costs time and that PPO here does without switched off."""
    trl: Any = importlib.import_module("trl")
    datasets: Any = importlib.import_module("datasets")
    trainer_class, config_class = (getattr(trl, name) for name in TRAINERS[algorithm])
    device = str(subject.model.device)
    config = config_class(
        output_dir=folder,
        per_device_train_batch_size=shape.rows,
        gradient_accumulation_steps=1,
        num_generations=shape.group,
        num_iterations=1,
        max_steps=steps,
        max_completion_length=shape.new_tokens,
        generation_kwargs={"min_new_tokens": shape.new_tokens},
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        beta=0.0,  # no reference model
        gradient_checkpointing=False,
        bf16=subject.model.dtype == torch.bfloat16,
        use_cpu=device == "cpu",
        learning_rate=PPO_ARGUMENTS["learning_rate"],
        lr_scheduler_type="constant",
        max_grad_norm=PPO_ARGUMENTS["max_grad_norm"],
        shuffle_dataset=False,
        weight_decay=OPTIMIZER["weight_decay"],
        adam_beta1=OPTIMIZER["betas"][0],
        adam_beta2=OPTIMIZER["betas"][1],
        adam_epsilon=OPTIMIZER["eps"],
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )

    class Timed(trainer_class):  # type: ignore[misc, valid-type]
        """Tells the clock when a step's completions are there."""

        def _prepare_inputs(self, *args: Any, **kwargs: Any) -> Any:
            inputs = super()._prepare_inputs(*args, **kwargs)
            clock.completions_are_there()
            return inputs

    def reward(completions: list[str], **_: Any) -> list[float]:
        return [float(len(text) % 7) for text in completions]

    texts = _cut(subject, shape)
    return Timed(
        model=subject.copy(),
        reward_funcs=reward,
        args=config,
        train_dataset=datasets.Dataset.from_dict({"prompt": texts}),
        processing_class=subject.tokenizer,
        callbacks=[clock],
    )


def _cut(subject: Subject, shape: Shape) -> list[str]:
    """The prompts that the environment gives, as text."""
    found = []
    for prompt in prompts(subject, shape.prompt_tokens):
        ids = subject.tokenizer.encode(prompt.text)[-shape.prompt_tokens :]
        found.append(subject.tokenizer.decode(ids))
    return found


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """TRL seeds everybody's random numbers; afterwards they are as they were."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
