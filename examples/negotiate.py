"""Self-play: a policy shares coins with a copy of itself, which is brought up to date after each generation.

The other seat is a part of an ordinary ``gymnasium.Env`` of texts, which ``GymPartner`` plays token by token. Equal
shares are 0.5.

python examples/negotiate.py --generations 4 --timesteps 4096
"""

import argparse
import copy
import re
import string
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode

import textgym
import textgym_agents
from textgym.checker import check_partner
from textgym.partners import GymPartner
from textgym_agents.callbacks import TextLogger

COINS, ROUNDS = 10, 3
DEMANDS = [f" {demand}" for demand in range(1, COINS)]

Player = Callable[[str, np.random.Generator], str]  # from what a seat has seen, to its demand


class Negotiation(gymnasium.Env[str, str]):
    """Two demand coins in turn. Where the last two demands can both be met there is a deal, and each gets its own.

    An action is the first seat's demand, an observation the other's. The reward of a deal is the share of the coins.
    """

    def __init__(self, other: Player) -> None:
        self.other = other
        self.observation_space = self.action_space = gymnasium.spaces.Text(100, charset=string.printable)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.round, self.theirs = 0, COINS
        self.seen = f"Share {COINS} coins."  # by the other seat
        return self.seen, {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        self.round += 1
        mine = demand(action)
        if mine + self.theirs > COINS:
            self.seen += f"\nOther: {mine}\nYou:"
            self.theirs = demand(said := self.other(self.seen, self.np_random))
            self.seen += said
        if mine + self.theirs <= COINS:
            return f" {self.theirs} Deal.", mine / COINS, True, False, {}
        return f" {self.theirs}", 0.0, self.round == ROUNDS, False, {}


def demand(text: str) -> int:
    """The first number of a text; all coins without one."""
    number = re.search(r"\d+", text)
    return int(number[0]) if number else COINS


class Copy:
    """A language model in the other seat, as it was when it was copied. It samples its demands."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.tokens = [tokenizer.encode(text, add_special_tokens=False)[0] for text in DEMANDS]
        self.copy(model)

    def copy(self, model: Any) -> None:
        """Become another model. Between rollouts alone: within an episode a partner must not change."""
        self.model = copy.deepcopy(model).eval()
        self.known: dict[str, np.ndarray[Any, Any]] = {}

    def __call__(self, seen: str, generator: np.random.Generator) -> str:
        if seen not in self.known:
            with torch.no_grad():
                logits = self.model(torch.tensor([self.tokenizer.encode(seen)])).logits[0, -1, self.tokens]
            self.known[seen] = torch.softmax(logits.double(), dim=0).numpy()
        return str(generator.choice(DEMANDS, p=self.known[seen]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--generations", type=int, default=2)
    parser.add_argument("--timesteps", type=int, default=768, help="tokens to train on in each")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    model, tokenizer = textgym_agents.models.load("textgym/small")
    other = Copy(model, tokenizer)
    partner = GymPartner(partial(Negotiation, other))
    env = textgym.TextGenerationVectorEnv(
        32,
        partner.prompts(256, template="{observation}\nYou:"),  # all alike: the seed decides what the other seat says
        tokenizer=tokenizer,
        partner=partner,
        max_turns=ROUNDS,
        max_turn_tokens=1,  # a demand is one token
        allowed_tokens=other.tokens,
        turn_template=("\nOther:", "\nYou:"),
        max_prompt_tokens=16,
        max_new_tokens=48,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    check_partner(partner, [textgym.Dialogue(env.task[0], (textgym.Turn("policy", text),)) for text in DEMANDS])
    rloo = textgym_agents.make("rloo", env, model, seed=arguments.seed)
    for generation in range(1, arguments.generations + 1):
        log = TextLogger()
        rloo.learn(arguments.timesteps, callback=log)  # begins all episodes anew
        first, last = log.history[0]["reward"], log.history[-1]["reward"]
        print(
            f"generation {generation}: share {first:.2f} at first, then {last:.2f}, against generation {generation - 1}"
        )
        other.copy(rloo.policy.lm)
    for sample in filter(None, env.last_samples[:3]):
        print("  " + ", ".join(f"{turn.speaker}{turn.text}" for turn in sample.turns))


if __name__ == "__main__":
    main()
