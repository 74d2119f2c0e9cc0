"""TRL's RLOO and GRPO on the same model, prompts and lengths, where TRL is installed.

TRL's own training loop runs unmodified. After each of its steps textgym has its turn, so that the two alternate.
"""

import importlib
import importlib.util
import tempfile
import warnings
from typing import Any

import torch
from torch.utils.benchmark.utils.timer import timer
from transformers import PrinterCallback, TrainerCallback

from textgym_agents.report.timing import Series
from textgym_agents.speed.entries import OURS, begin, collect, touch
from textgym_agents.speed.models import Subject, prompts
from textgym_agents.speed.rollouts import OPTIMIZER, PPO_ARGUMENTS, Shape, make_env, make_ppo

TRAINERS = {"RLOO": ("RLOOTrainer", "RLOOConfig"), "GRPO": ("GRPOTrainer", "GRPOConfig")}


def installed() -> bool:
    """Whether TRL can be imported."""
    return importlib.util.find_spec("trl") is not None


class _Turns(TrainerCallback):
    """Times TRL's step, whose completions are there when ``half`` is called, then one rollout and update of PPO."""

    def __init__(self, one: Subject, shape: Shape) -> None:
        self.ppo = make_ppo(one, make_env(one, shape), n_steps=shape.new_tokens)
        self.callback = begin(self.ppo)
        self.theirs, self.ours = [], []  # type: tuple[list[tuple[float, float]], list[tuple[float, float]]]
        self.began = self.halved = 0.0

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self.began = timer()

    def half(self) -> None:
        self.halved = timer()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.theirs.append((self.halved - self.began, timer() - self.halved))
        touch(self.ppo.policy)
        began = timer()
        collect(self.ppo, self.callback)
        halved = timer()
        self.ppo.train()
        self.ours.append((halved - began, timer() - halved))


def time_trl(algorithm: str, one: Subject, shape: Shape, repeats: int) -> dict[str, tuple[Series, Series]]:
    """Our and TRL's times, by "rollout" and "update".

    Both write ``shape.rows`` completions of equal length and take one gradient step over all their tokens. TRL's
    rollout is all that it does until it has its batch: generation, rewards, advantages and, in RLOO, the old
    log-probabilities. Its update is the rest of the step.

    Args:
        algorithm: "RLOO" or "GRPO".
        one: a decoder-only model.
        shape: of equal lengths, with a ``group`` of at least 2 that divides the rows.
        repeats: after one that isn't counted.
    """
    turns = _Turns(one, shape)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        trainer = _trainer(algorithm, one, shape, repeats + 1, folder, turns)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    work = (float(shape.rows * shape.new_tokens),) * repeats
    return {
        part: (Series(OURS, work, ours), Series(f"TRL's {algorithm}", work, theirs))
        for part, ours, theirs in zip(
            ("rollout", "update"), zip(*turns.ours[1:], strict=True), zip(*turns.theirs[1:], strict=True), strict=True
        )
    }


def _trainer(algorithm: str, one: Subject, shape: Shape, steps: int, folder: str, turns: _Turns) -> Any:
    """TRL's trainer, with all that costs time and that PPO here does without switched off."""
    trl: Any = importlib.import_module("trl")
    datasets: Any = importlib.import_module("datasets")
    trainer_class, config_class = (getattr(trl, name) for name in TRAINERS[algorithm])
    size = {"per_device_train_batch_size": shape.rows, "gradient_accumulation_steps": 1, "max_steps": steps}
    size |= {"num_generations": shape.group, "num_iterations": 1, "max_completion_length": shape.new_tokens}
    sampling = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "generation_kwargs": {"min_new_tokens": shape.new_tokens}}
    update = {"learning_rate": PPO_ARGUMENTS["learning_rate"], "max_grad_norm": PPO_ARGUMENTS["max_grad_norm"]}
    update |= {"weight_decay": OPTIMIZER["weight_decay"], "adam_epsilon": OPTIMIZER["eps"]}
    update |= dict(zip(("adam_beta1", "adam_beta2"), OPTIMIZER["betas"], strict=True))
    update |= {"lr_scheduler_type": "constant", "gradient_checkpointing": False, "beta": 0.0}  # no reference model
    place = {"bf16": one.model.dtype == torch.bfloat16, "use_cpu": one.model.device.type == "cpu"}
    silent = {"logging_strategy": "no", "save_strategy": "no", "report_to": "none", "disable_tqdm": True}
    more = {"output_dir": folder, "shuffle_dataset": False, "dataloader_pin_memory": False}
    config = config_class(**size, **sampling, **update, **place, **silent, **more)

    class Timed(trainer_class):  # type: ignore[misc, valid-type]
        def _prepare_inputs(self, *args: Any, **kwargs: Any) -> Any:
            inputs = super()._prepare_inputs(*args, **kwargs)
            turns.half()
            return inputs

    def reward(completions: list[str], **_: Any) -> list[float]:
        return [float(len(completion) % 7) for completion in completions]

    encoded = [one.tokenizer.encode(prompt.text) for prompt in prompts(one.vocabulary, shape.prompt_tokens)]
    texts = [one.tokenizer.decode(ids[-shape.prompt_tokens :]) for ids in encoded]  # as the environment cuts them
    return Timed(
        model=one.copy(),
        reward_funcs=reward,
        args=config,
        train_dataset=datasets.Dataset.from_dict({"prompt": texts}),
        processing_class=one.tokenizer,
        callbacks=[turns],
    )
