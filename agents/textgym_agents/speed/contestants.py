"""Who takes turns: textgym's way and the usual ways to roll out and to update."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from textgym_agents.speed.ends import end_tokens
from textgym_agents.speed.handwritten import HandwrittenPPO, pad
from textgym_agents.speed.measure import Contestant
from textgym_agents.speed.models import Subject
from textgym_agents.speed.texts import Shape, Text, make_env, make_ppo

OURS, GENERATE, HANDWRITTEN = "textgym", "model.generate", "plain PyTorch"


class _Nothing(BaseCallback):
    def _on_step(self) -> bool:
        return True


def rollout(subject: Subject, shape: Shape, n_steps: int | None = None, **policy_kwargs: Any) -> Contestant:
    """SB3's unmodified ``PPO.collect_rollouts``: the environment's steps, values and the buffer included.

    Before each turn the weights count as changed, as they are after an update: the policy may keep nothing from the
    rollout before, and reads the texts that it had begun anew.
    """
    ppo = make_ppo(subject, shape, n_steps=n_steps, **policy_kwargs)
    callback = begin(ppo)
    return Contestant(OURS, lambda: collect(ppo, callback), before=lambda: touch(ppo.policy))


def begin(ppo: PPO) -> BaseCallback:
    """Reset the environment and all else that ``learn`` does before its first rollout. Returns a callback for it."""
    _, callback = ppo._setup_learn(10**12, _Nothing())
    callback.on_training_start(locals(), globals())
    return callback


def collect(ppo: PPO, callback: BaseCallback) -> int:
    """One rollout. Returns its tokens, all of which belong to some text."""
    ppo.collect_rollouts(ppo.env, callback, ppo.rollout_buffer, ppo.n_steps)  # type: ignore[arg-type]
    return ppo.n_steps * ppo.n_envs


@torch.no_grad()
def touch(policy: torch.nn.Module) -> None:
    """Write the weights as an optimiser does, without changing them."""
    for parameter in policy.parameters():
        parameter.mul_(1)


def generate(subject: Subject, shape: Shape, batches: int = 1) -> Contestant:
    """``model.generate`` alone, sampling from the whole distribution. Tokens after the end of a text don't count.

    Where texts are equally long no token ends them, so that generate looks for no end at all: its fastest form.
    """
    model = subject.copy()
    env: Any = make_env(subject, shape)
    env.seed(0)
    prompts = [torch.as_tensor(env.reset()["input_ids"][:, : shape.prompt_tokens]).to(model.device) for _ in range(4)]
    ends = (
        None
        if shape.mean_tokens is None
        else [subject.tokenizer.eos_token_id, *end_tokens(subject, shape.mean_tokens, shape.new_tokens)]
    )
    is_end = torch.zeros(
        max(subject.vocabulary, model.get_output_embeddings().weight.shape[0]), dtype=torch.long, device=model.device
    )
    is_end[ends or []] = 1
    first = 1 if subject.seq2seq else shape.prompt_tokens
    turns = iter(range(10**9))

    def run() -> int:
        tokens = 0
        for turn in islice(turns, batches):
            ids = prompts[turn % len(prompts)]
            options: dict[str, Any] = {} if ends is None else {"eos_token_id": ends}
            with torch.random.fork_rng():  # generate draws from the global generator; nobody else's numbers may change
                torch.manual_seed(turn)
                written = model.generate(
                    ids, attention_mask=torch.ones_like(ids), max_new_tokens=shape.new_tokens, **options
                )[:, first:]
            end = is_end[written]
            tokens += int((end.cumsum(1) - end == 0).sum())  # up to the first end token, and with it
        return tokens

    return Contestant(GENERATE, run)


def update(ppo: PPO, name: str = OURS) -> Contestant:
    """SB3's unmodified ``PPO.train`` on what lies in its buffer: one epoch."""
    tokens = ppo.n_steps * ppo.n_envs

    def run() -> int:
        ppo.train()
        return tokens

    return Contestant(name, run)


def handwritten(subject: Subject, texts: list[Text], minibatches: int) -> Contestant:
    """One epoch of the hand-written step on the same texts, in as many minibatches."""
    by_hand = HandwrittenPPO(subject)
    padded = pad(texts, subject.seq2seq, by_hand.model.device)
    generator = torch.Generator().manual_seed(0)
    tokens = sum(len(text.actions) for text in texts)

    def run() -> int:
        by_hand.epoch(padded, -(-len(texts) // minibatches), generator)
        return tokens

    return Contestant(HANDWRITTEN, run)


class FirstMinibatches:
    """A buffer that yields only its first few minibatches, where a whole epoch would take too long to time."""

    def __init__(self, buffer: Any, count: int) -> None:
        self.buffer, self.count = buffer, count

    def get(self, batch_size: int) -> Iterator[Any]:
        """The first minibatches."""
        return islice(self.buffer.get(batch_size), self.count)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.buffer, name)


def stock_update(ppo: PPO, buffer: Any) -> Contestant:
    """The same ``PPO.train`` on SB3's own buffer, which gives every token its whole prefix: one minibatch of it."""
    first = FirstMinibatches(buffer, 1)

    def run() -> int:
        ours, ppo.rollout_buffer = ppo.rollout_buffer, first  # type: ignore[assignment]
        try:
            ppo.train()
        finally:
            ppo.rollout_buffer = ours
        return ppo.batch_size

    return Contestant("SB3's DictRolloutBuffer", run)
