"""What takes turns: textgym's way and the usual ways to roll out and to update."""

from collections.abc import Sequence
from itertools import count, islice
from typing import Any

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from textgym_agents.report.timing import Entry
from textgym_agents.speed.end_tokens import end_tokens
from textgym_agents.speed.handwritten import HandwrittenPPO, pad
from textgym_agents.speed.models import Subject
from textgym_agents.speed.rollouts import Episode, Shape, make_env, make_ppo

OURS, GENERATE, HANDWRITTEN = "textgym", "model.generate", "plain PyTorch"


def rollout(one: Subject, shape: Shape, n_steps: int | None = None, **policy_kwargs: Any) -> Entry:
    """SB3's unmodified ``PPO.collect_rollouts``: the environment's steps, values and the buffer included.

    Before each turn the weights count as changed, as they are after an update: the policy may keep nothing from the
    rollout before, and computes the keys and values of unfinished episodes anew.
    """
    ppo = make_ppo(one, make_env(one, shape), n_steps=n_steps or shape.new_tokens, **policy_kwargs)
    callback = begin(ppo)
    return Entry(OURS, lambda: collect(ppo, callback), before=lambda: touch(ppo.policy))


def begin(ppo: PPO) -> BaseCallback:
    """Reset the environment and all else that ``learn`` does before its first rollout. Returns a callback for it."""
    _, callback = ppo._setup_learn(10**12, CallbackList([]))
    callback.on_training_start(locals(), globals())
    return callback


def collect(ppo: PPO, callback: BaseCallback) -> int:
    """One rollout. Returns its tokens, all of which belong to some completion."""
    ppo.collect_rollouts(ppo.env, callback, ppo.rollout_buffer, ppo.n_steps)  # type: ignore[arg-type]
    return ppo.n_steps * ppo.n_envs


@torch.no_grad()
def touch(policy: torch.nn.Module) -> None:
    """Write the weights as an optimizer does, without changing them."""
    for parameter in policy.parameters():
        parameter.mul_(1)


def generate(one: Subject, shape: Shape, batches: int = 1) -> Entry:
    """``model.generate`` alone, sampling from the whole distribution. Tokens after the end don't count.

    Where completions are equally long no token ends them, so that generate looks for no end at all: its fastest form.
    """
    model, env = one.copy(), make_env(one, shape)
    env.seed(0)
    prompts: list[Any] = [env.reset() for _ in range(4)]
    prompts = [torch.as_tensor(seen["input_ids"][:, : shape.prompt_tokens]).to(model.device) for seen in prompts]
    ends = [one.tokenizer.eos_token_id, *end_tokens(one, shape.mean_tokens, shape.new_tokens)]
    options: dict[str, Any] = {"max_new_tokens": shape.new_tokens}
    is_end = torch.zeros(max(one.vocabulary, len(model.get_output_embeddings().weight)), device=model.device).long()
    if shape.mean_tokens is not None:
        options["eos_token_id"], is_end[ends] = ends, 1
    first, turns = 1 if one.seq2seq else shape.prompt_tokens, count()

    def run() -> int:
        tokens = 0
        for turn in islice(turns, batches):
            ids = prompts[turn % len(prompts)]
            with torch.random.fork_rng():  # generate draws from the global generator, which others use too
                torch.manual_seed(turn)
                end = is_end[model.generate(ids, attention_mask=torch.ones_like(ids), **options)[:, first:]]
            tokens += int((end.cumsum(1) - end == 0).sum())  # up to the first end token, and with it
        return tokens

    return Entry(GENERATE, run)


def update(ppo: PPO) -> Entry:
    """SB3's unmodified ``PPO.train`` on what its buffer holds: one epoch."""

    def run() -> int:
        ppo.train()
        return int(ppo.rollout_buffer.actions.size)  # without those of completions that the rollout's end has cut

    return Entry(OURS, run)


def handwritten(one: Subject, episodes: Sequence[Episode], minibatches: int) -> Entry:
    """One epoch of the hand-written step on the same episodes, in as many minibatches."""
    by_hand = HandwrittenPPO(one)
    padded = pad(episodes, one.seq2seq, by_hand.model.device)
    generator = torch.Generator().manual_seed(0)
    tokens = sum(len(episode.actions) for episode in episodes)

    def run() -> int:
        by_hand.epoch(padded, -(-len(episodes) // minibatches), generator)
        return tokens

    return Entry(HANDWRITTEN, run)


def stock_update(ppo: PPO, buffer: Any) -> Entry:
    """The same ``PPO.train`` on SB3's own buffer, which gives every token its whole prefix: one minibatch of it."""
    whole = buffer.get
    buffer.get = lambda batch_size: islice(whole(batch_size), 1)  # a whole epoch would take too long

    def run() -> int:
        ours, ppo.rollout_buffer = ppo.rollout_buffer, buffer
        try:
            ppo.train()
        finally:
            ppo.rollout_buffer = ours
        return ppo.batch_size

    return Entry("SB3's DictRolloutBuffer", run)
