"""The row of the table about conversations: what a reply adds to the policy's next step, and to whole rollouts."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode

from textgym.dialogue import Dialogue, Reply
from textgym.vector import TextGenerationVectorEnv
from textgym_agents.envs.vec_env import TextVecEnv
from textgym_agents.report.timing import Entry, Result, compare, take_turns
from textgym_agents.speed.end_tokens import end_tokens
from textgym_agents.speed.entries import begin, collect, touch
from textgym_agents.speed.models import Subject, prompts
from textgym_agents.speed.plan import Job, Plan
from textgym_agents.speed.rollouts import Shape, make_env, make_ppo

REPLIES = (8, 32)  # tokens of a reply
STEPS = 4  # of a turn of the measurement, all of them after a reply
TURNS, TURN, REPLY = 4, 16, 8  # of a conversation: turns, tokens of one of the policy's on average, of a reply
N_STEPS = 256  # of a rollout
NOTES = {
    "step": "In units of a step of one token, whose prompts are as long: the policy reads the replies of all rows, and "
    "samples.",
    "rollout": f"Both write as many tokens in an episode, the one in {TURNS} turns with {REPLY} tokens of a partner "
    "between them, which do not count.",
}


def conversations(plan: Plan) -> Iterator[Job]:
    """Steps of the policy after a reply in every row, and rollouts of conversations against those of one turn."""
    for one in plan.subjects[:1] if plan.quick else plan.subjects:
        shape = Shape(plan.batches[0], 4 * TURNS * TURN, mean_tokens=TURNS * TURN)
        what = f"rollout of conversations of {TURNS} turns, {one.short}, {shape}"
        yield Job("turns", what, partial(rollouts, plan, one, shape, what))
        for tokens in REPLIES[:1] if plan.quick else REPLIES:
            shape = Shape(plan.batches[0], STEPS * (tokens + 1))
            what = f"step after a reply of {tokens} tokens, {one.short}, {shape.rows} rows"
            yield Job("turns", what, partial(after_replies, plan, one, shape, tokens, what))


def after_replies(plan: Plan, one: Subject, shape: Shape, tokens: int, what: str) -> list[Result]:
    """How many steps of one token a step takes before which each row got so many more."""
    entries = [steps(one, shape, 1 + tokens, "after a reply"), steps(one, shape, 1, "one token")]
    ours, usual = take_turns(entries, plan.repeats)
    ratios = tuple(a / b for a, b in zip(ours.seconds, usual.seconds, strict=True))
    about: dict[str, Any] = {"target": 2 + 0.3 * tokens, "better": "lower", "unit": "ms", "usual_name": usual.name}
    about |= {name: 1000 * float(np.median(of.seconds)) / STEPS for name, of in (("ours", ours), ("usual", usual))}
    about |= {"setting": {"rows": shape.rows, "model": one.short, "reply_tokens": tokens}, "series": (ours, usual)}
    return [Result("turns", what, float(np.median(ratios)), ratios, note=NOTES["step"], **about)]


def rollouts(plan: Plan, one: Subject, shape: Shape, what: str) -> list[Result]:
    """Tokens a second of the policy's in conversations, against those of completions that are as long."""
    n_steps = max(2, min(N_STEPS, one.turn_tokens // shape.rows))
    talking = rollout(one, conversation_env(one, shape), n_steps, "conversations")
    single = rollout(one, make_env(one, shape), n_steps, "one turn")
    about: dict[str, Any] = {"target": 0.8, "note": NOTES["rollout"], "setting": {"rows": shape.rows}}
    return [compare(*take_turns([talking, single], plan.repeats), row="turns", what=what, **about)]


def rollout(one: Subject, env: TextVecEnv, n_steps: int, name: str) -> Entry:
    """SB3's unmodified ``PPO.collect_rollouts``, from weights that count as changed."""
    ppo = make_ppo(one, env, n_steps=n_steps)
    return Entry(name, partial(collect, ppo, begin(ppo)), partial(touch, ppo.policy))


def conversation_env(one: Subject, shape: Shape) -> TextVecEnv:
    """The vector environment of ``make_env``, whose episodes are as long and in turns, with a partner between them."""
    most = shape.new_tokens // TURNS
    words = one.tokenizer.encode(prompts(one.vocabulary, REPLY, 1)[0].text)[:REPLY]
    lengths: Any = {"max_prompt_tokens": shape.prompt_tokens, "max_turn_tokens": most, "max_turns": TURNS}
    lengths["max_new_tokens"] = shape.new_tokens + 4 * TURNS * REPLY  # a real tokenizer may read a reply otherwise
    lengths["eos_token_ids"] = end_tokens(one, TURN, most)
    form: Any = {"form": "seq2seq", "decoder_start_token_id": 0} if one.seq2seq else {}
    talk: Any = {"partner": Says(one.tokenizer.decode(words)), "turn_template": ("", "")}
    order: Any = {"sampling": "sequential", "autoreset_mode": AutoresetMode.SAME_STEP}
    given = prompts(one.vocabulary, shape.prompt_tokens)
    return TextVecEnv(
        TextGenerationVectorEnv(shape.rows, given, None, one.tokenizer, **lengths, **form, **talk, **order)
    )


class Says:
    """A partner that says the same whatever it hears."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __call__(self, dialogues: Sequence[Dialogue], /) -> list[Reply]:
        return [Reply(self.text) for _ in dialogues]


def steps(one: Subject, shape: Shape, grows: int, name: str) -> Entry:
    """Steps of a policy whose rows get ``grows`` tokens between two of them. What came before is in its cache."""
    env = make_env(one, replace(shape, new_tokens=STEPS * max(grows, 2)))
    policy: Any = make_ppo(one, env, n_steps=2).policy
    first = {key: torch.as_tensor(array).to(policy.device) for key, array in env.reset().items()}
    ids, mask = ("decoder_input_ids", "decoder_attention_mask") if one.seq2seq else ("input_ids", "attention_mask")
    begin = 1 if one.seq2seq else shape.prompt_tokens
    words = torch.as_tensor(np.random.default_rng(0).integers(2, one.vocabulary, first[ids].shape)).to(first[ids])
    words[:, :begin] = first[ids][:, :begin]
    columns = torch.arange(words.shape[1], device=words.device)

    @torch.no_grad()
    def step(number: int) -> None:
        live = (columns < begin + number * grows).expand_as(words) & ((columns >= begin) | (first[mask] > 0))
        policy({**first, ids: words * live, mask: live.to(first[mask].dtype)})

    def before() -> None:
        touch(policy)
        step(0)

    def run() -> int:
        for number in range(1, 1 + STEPS):
            step(number)
        return STEPS

    return Entry(name, run, before)
