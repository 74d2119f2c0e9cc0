"""PPO in one file in CleanRL's style (https://docs.cleanrl.dev/rl-algorithms/ppo): a small transformer from scratch.

With --pretrained, transformers' AutoModelForCausalLM takes its place, the built-in model on its own vocabulary:

python examples/other_libraries/cleanrl_ppo.py
python examples/other_libraries/cleanrl_ppo.py --pretrained
"""

import argparse
import time

import gymnasium as gym
import letters
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical
from transformers import AutoModelForCausalLM

from textgym.tokenizer import builtin_folder
from textgym.wrappers import CompactVocabulary

parser = argparse.ArgumentParser()
parser.add_argument("--pretrained", action="store_true", help="a language model writes happy reviews")
parser.add_argument("--timesteps", type=int)
args = parser.parse_args()
torch.manual_seed(0)
torch.set_num_threads(1)
env_id = "textgym:textgym/SentimentContinuation-v1" if args.pretrained else letters.ENV_ID
options = {"reward": "sentiment"} if args.pretrained else {}
timesteps = args.timesteps or (4096 if args.pretrained else 40_960)
num_envs, num_steps, minibatch, epochs = 32, 32 if args.pretrained else 16, 256, 2 if args.pretrained else 4
learning_rate, entropy_coef = (3e-4, 0.0) if args.pretrained else (1e-3, 0.01)
gamma, gae_lambda, clip = 1.0, 0.95, 0.2


class Agent(nn.Module):
    """A body that turns tokens into features, and a head each for the next token and for the value."""

    def __init__(self, num_tokens: int, columns: int, actions: int, width: int = 64) -> None:
        super().__init__()
        self.model = None
        if args.pretrained:
            self.model = AutoModelForCausalLM.from_pretrained(builtin_folder(), dtype=torch.float32).eval()
            width = self.model.config.hidden_size
            self.actor = self.model.get_output_embeddings()
        else:
            self.embed, self.position = nn.Embedding(num_tokens, width), nn.Embedding(columns, width)
            layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
            self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.actor = nn.Linear(width, actions)
        self.critic = nn.Linear(width, 1)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[Categorical, torch.Tensor]:
        positions = (mask.cumsum(1) - 1).clamp(min=0)  # (batch, columns): prompts are padded on the left
        if self.model is not None:
            out = self.model.base_model(input_ids=ids, attention_mask=mask, position_ids=positions)
            features = out.last_hidden_state
        else:
            features = self.body(self.embed(ids) + self.position(positions), src_key_padding_mask=mask == 0)
        last = (mask * torch.arange(mask.shape[1])).argmax(1)  # (batch,) the column of the newest token
        feature = features[torch.arange(len(ids)), last]
        return Categorical(logits=self.actor(feature)), self.critic(feature).squeeze(1)


def tensors(observations: dict) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.as_tensor(observations["input_ids"]), torch.as_tensor(observations["attention_mask"]).long()


def act(observations: dict) -> np.ndarray:
    with torch.no_grad():
        return agent(*tensors(observations))[0].sample().numpy()


wrap = (lambda envs: envs) if args.pretrained else CompactVocabulary
envs = wrap(gym.make_vec(env_id, num_envs=num_envs, autoreset_mode="SameStep", **options))
space = envs.single_observation_space["input_ids"]
agent = Agent(int(space.high.max()) + 1, space.shape[0], int(envs.single_action_space.n))
optimizer = torch.optim.Adam(agent.parameters(), lr=learning_rate, eps=1e-5)
before, start = letters.evaluate(act, env_id, wrap, **options), time.time()

ids, mask = tensors(envs.reset(seed=0)[0])
for _ in range(timesteps // (num_envs * num_steps)):
    steps = []
    for _ in range(num_steps):
        with torch.no_grad():
            policy, value = agent(ids, mask)
        action = policy.sample()
        observations, reward, terminated, truncated, _ = envs.step(action.numpy())
        done = torch.as_tensor(terminated | truncated)
        steps.append((ids, mask, action, policy.log_prob(action), value, torch.as_tensor(reward).float(), done))
        ids, mask = tensors(observations)
    stacked = [torch.stack(column) for column in zip(*steps, strict=True)]
    b_ids, b_mask, b_action, b_logp, b_value, b_reward, b_done = stacked
    with torch.no_grad():
        next_value = agent(ids, mask)[1]
    advantages, last = torch.zeros_like(b_reward), torch.zeros(num_envs)
    for t in reversed(range(num_steps)):
        running = 1.0 - b_done[t].float()
        delta = b_reward[t] + gamma * running * next_value - b_value[t]
        last = advantages[t] = delta + gamma * gae_lambda * running * last
        next_value = b_value[t]
    returns = advantages + b_value
    flat = [x.flatten(0, 1) for x in (b_ids, b_mask, b_action, b_logp, advantages, returns)]
    for _ in range(epochs):
        for rows in torch.randperm(num_envs * num_steps).split(minibatch):
            m_ids, m_mask, m_action, m_logp, m_advantage, m_return = (x[rows] for x in flat)
            policy, value = agent(m_ids, m_mask)
            ratio = (policy.log_prob(m_action) - m_logp).exp()
            m_advantage = (m_advantage - m_advantage.mean()) / (m_advantage.std() + 1e-8)
            surrogate = torch.min(ratio * m_advantage, ratio.clamp(1 - clip, 1 + clip) * m_advantage).mean()
            loss = -surrogate + 0.5 * (value - m_return).square().mean() - entropy_coef * policy.entropy().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            optimizer.step()

after = letters.evaluate(act, env_id, wrap, **options)
print(f"reward before {before:.3f}, after {timesteps} steps {after:.3f} ({time.time() - start:.0f} seconds)")
