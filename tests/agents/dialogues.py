"""Conversations with a partner that wants to be trained on, and what training on them must be, by plain passes."""

import numpy as np
import torch
from gymnasium.vector import AutoresetMode

import textgym
from textgym import Prompt, Reply
from textgym.tokenizer import builtin_tokenizer
from textgym.vector import TextGenerationVectorEnv
from textgym_agents.envs.vec_env import TextVecEnv

GPT = builtin_tokenizer()
END = GPT.eos_token_id
ALLOWED = [END, *range(40, 46)]  # few, so that turns end
PROMPTS = [Prompt(text) for text in ("Say:", "Talk to me:", "Now:", "You and I:")]
LENGTHS = {"max_prompt_tokens": 12, "max_new_tokens": 44, "max_turns": 3, "turn_template": ("\n", "\nA:")}


@textgym.partner
def poisoned(dialogue):
    """Asks for a reward, up to twice or not at all, gives one for the turn, and may end the conversation."""
    generator = dialogue.generator(len(dialogue.turns))
    text = " ".join(["reward me"] * int(generator.integers(3)))
    return Reply(text, round(float(generator.normal()), 3), done=generator.random() < 0.15)


def length(samples):
    """A hundredth for each character of the policy's."""
    return [0.01 * len(sample.completion) for sample in samples]


class Watched(TextVecEnv):
    """Keeps what the environment itself says of the episodes that end."""

    def __init__(self, env):
        super().__init__(env)
        self.steps, self.ended = 0, []  # the step and the last info of each episode

    def step_wait(self):
        result = super().step_wait()
        self.steps += 1
        self.ended += [(self.steps, info) for info, done in zip(result[3], result[2], strict=False) if done]
        return result


def made(rows, seq2seq=False, reward=length, partner=poisoned, seed=3, **options):
    """Rows of conversations."""
    form = {"form": "seq2seq", "decoder_start_token_id": 0} if seq2seq else {}
    vector = TextGenerationVectorEnv(
        rows, PROMPTS, reward, partner=partner, allowed_tokens=ALLOWED, autoreset_mode=AutoresetMode.SAME_STEP,
        **{**LENGTHS, **form, **options},
    )  # fmt: skip
    env = Watched(vector)
    env.seed(seed)
    return env


def everything(info):
    """The tokens before the first turn, all those behind them, and which of these are the policy's."""
    last = info["terminal_observation"]
    seq2seq = "decoder_input_ids" in last
    columns = slice(None) if seq2seq else slice(0, LENGTHS["max_prompt_tokens"])
    prompt = last["input_ids"][columns][last["attention_mask"][columns] != 0].tolist()
    tokens = [token for turn in info["turns"] for token in turn.token_ids]
    own = [turn.speaker == "policy" for turn in info["turns"] for _ in turn.token_ids]
    return prompt, tokens, own


def rewards_of(info):
    """(tokens,) of the policy's tokens: what turns were worth on their last ones, and the reward at the end."""
    rewards = []
    for turn in info["turns"]:
        if turn.speaker == "policy":
            rewards += [0.0] * (len(turn.token_ids) - 1) + [turn.reward]
    rewards[-1] += 0.01 * len(info["completion"])
    return rewards


def plain_pass(lm, info, num_tokens, value_net=None):
    """(tokens,) log-probabilities, entropies and values of the policy's tokens, by one pass over the episode alone."""
    prompt, tokens, own = everything(info)
    if lm.config.is_encoder_decoder:
        read = {"input_ids": torch.tensor([prompt]), "decoder_input_ids": torch.tensor([[0, *tokens[:-1]]])}
        output = lm(**read, output_hidden_states=True)
        logits, hidden = output.logits[0], output.decoder_hidden_states[-1][0]
    else:
        output = lm(input_ids=torch.tensor([[*prompt, *tokens[:-1]]]), output_hidden_states=True)
        logits, hidden = (part[0, len(prompt) - 1 :] for part in (output.logits, output.hidden_states[-1]))
    at = torch.tensor(own)
    masked = torch.full((len(tokens), num_tokens), -torch.inf).scatter(1, torch.tensor([ALLOWED] * len(tokens)), 0.0)
    log_probs = (logits[:, :num_tokens] + masked).log_softmax(-1)
    chosen = log_probs.gather(1, torch.tensor(tokens)[:, None])[:, 0]
    entropies = -(log_probs.exp() * log_probs.clamp(min=-1e4)).sum(1)
    values = torch.zeros(len(tokens)) if value_net is None else value_net(hidden).flatten()
    return chosen[at], entropies[at], values[at]


def advantages_of(rewards, values, gamma, gae_lambda):
    """(tokens,) of one episode, over the policy's tokens alone."""
    advantages, following, after = [], 0.0, 0.0
    for reward, value in zip(reversed(rewards), reversed(values.tolist()), strict=True):
        following = reward + gamma * after - value + gamma * gae_lambda * following
        advantages.append(following)
        after = value
    return torch.tensor(advantages[::-1])


def gradients(algorithm, total):
    """The gradient of every step that training would take, without taking any."""
    kept = []

    def step(*args, **kwargs):
        kept.append({n: p.grad.clone() for n, p in algorithm.policy.named_parameters() if p.grad is not None})

    algorithm.policy.optimizer.step = step
    algorithm.learn(total)
    return kept


def of_loss(loss, policy):
    """The gradient of a loss, by the names of weights."""
    policy.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in policy.named_parameters() if p.grad is not None}


def assert_same_gradient(one, other):
    assert one.keys() == other.keys()
    largest = max(float(gradient.abs().max()) for gradient in other.values())
    assert largest > 1e-3
    for name in other:
        torch.testing.assert_close(
            one[name], other[name], atol=1e-4 * largest, rtol=1e-3, msg=lambda m, n=name: f"{n}: {m}"
        )


def turns_of(infos):
    """How many turns of a partner's each episode has in its tokens."""
    return np.array([sum(turn.speaker == "partner" and len(turn.token_ids) > 0 for turn in i["turns"]) for i in infos])
