"""Encoder-decoder policies: the cache changes nothing, the encoder runs once an episode, and SB3 trains them."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, PPO
from transformers import AutoModelForSeq2SeqLM

from tests.agents.tiny_models import SEQ2SEQ, tiny_model
from textgym.errors import ConfigError, ModelError
from textgym.tokenizer import builtin_tokenizer
from textgym_agents import EpisodeRolloutBuffer, LanguageModelPolicy, make_vec_env

NUM_TOKENS = len(builtin_tokenizer())
PROMPT, NEW = 9, 12
SMALL = {"max_prompt_tokens": 12, "max_new_tokens": 10, "form": "seq2seq", "decoder_start_token_id": 0}


def space():
    boxes = {}
    for prefix, width in (("", PROMPT), ("decoder_", 1 + NEW)):
        boxes[f"{prefix}input_ids"] = spaces.Box(0, NUM_TOKENS - 1, (width,), np.int64)
        boxes[f"{prefix}attention_mask"] = spaces.Box(0, 1, (width,), np.int8)
    return spaces.Dict(boxes)


def policy(model, **options):
    made = LanguageModelPolicy(space(), spaces.Discrete(NUM_TOKENS), lambda _: 1e-3, model=model, **options)
    torch.nn.init.normal_(made.value_net.weight, std=0.015, generator=torch.Generator().manual_seed(1))
    return made


class Episodes:
    """Rows that grow by the policy's tokens and restart with another prompt at different times."""

    def __init__(self, rows, seed=0):
        self.rng = np.random.default_rng(seed)
        self.obs = {name: np.zeros((rows, box.shape[0]), box.dtype) for name, box in space().items()}
        self.begun = self.inserted = 0
        for row in range(rows):
            self.restart(row)

    def restart(self, row):
        self.begun += 1
        for array in self.obs.values():
            array[row] = 0
        length = self.rng.integers(1, PROMPT + 1)
        self.obs["input_ids"][row, :length] = self.rng.integers(0, NUM_TOKENS, length)
        self.obs["attention_mask"][row, :length] = 1
        self.obs["decoder_attention_mask"][row, 0] = 1  # the start token, 0

    def observe(self):
        return {name: torch.tensor(array) for name, array in self.obs.items()}

    def step(self, actions):
        for row, action in enumerate(actions):
            column = self.obs["decoder_attention_mask"][row].sum()
            self.obs["decoder_input_ids"][row, column] = action
            self.obs["decoder_attention_mask"][row, column] = 1
            if column == NEW or self.rng.random() < 0.15:
                self.restart(row)

    def insert(self, share):
        """A partner's reply of 1 to 4 tokens in some of the rows that are in an episode and have room for it."""
        for row, live in enumerate(self.obs["decoder_attention_mask"].sum(1)):
            tokens = self.rng.integers(0, NUM_TOKENS, self.rng.integers(1, 5))
            if 1 < live < 1 + NEW - len(tokens) and self.rng.random() < share:
                self.obs["decoder_input_ids"][row, live : live + len(tokens)] = tokens
                self.obs["decoder_attention_mask"][row, live : live + len(tokens)] = 1
                self.inserted += len(tokens)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", SEQ2SEQ)
def test_cached_equals_uncached(kind, attention):
    model = tiny_model(kind)
    model.set_attn_implementation(attention)
    cached, plain = policy(model, use_cache=True), policy(model, use_cache=False)
    assert cached.use_cache
    episodes = Episodes(rows=5)
    for _ in range(30):
        obs = episodes.observe()
        begun = episodes.begun
        with torch.no_grad():
            actions, values, log_probs = cached(obs)
            plain_values, plain_log_probs, _ = plain.evaluate_actions(obs, actions)
            torch.testing.assert_close(log_probs, plain_log_probs, atol=3e-5, rtol=1e-4)
            torch.testing.assert_close(values, plain_values, atol=3e-5, rtol=1e-4)
        episodes.step(actions.tolist())
    slots = cached.caches.get(5, None)
    assert slots.decoded_tokens == 5 * 30
    # The encoder ran once for each episode that began, and the decoder's past was never computed again.
    assert slots.encoded_tokens <= begun * PROMPT
    assert slots.encoded_tokens >= begun
    assert slots.prefilled_tokens == 0


@pytest.mark.parametrize(("kind", "attention"), [("t5", "sdpa"), ("t5", "eager"), ("bart", "sdpa")])
def test_a_partners_tokens_are_read_in_one_piece(kind, attention):
    model = tiny_model(kind)
    model.set_attn_implementation(attention)
    cached, plain = policy(model, use_cache=True), policy(model, use_cache=False)
    episodes = Episodes(rows=5)
    for step in range(36):
        obs = episodes.observe()
        with torch.no_grad():
            actions, values, log_probs = cached(obs)
            plain_values, plain_log_probs, _ = plain.evaluate_actions(obs, actions)
            torch.testing.assert_close(log_probs, plain_log_probs, atol=3e-5, rtol=1e-4)
            torch.testing.assert_close(values, plain_values, atol=3e-5, rtol=1e-4)
        if step < 35:
            episodes.step(actions.tolist())
            episodes.insert(share=1 if step % 7 == 0 else 0.5)
    slots = cached.caches.get(5, None)
    assert episodes.inserted > 60
    assert (slots.prefilled_tokens, slots.extended_tokens) == (0, episodes.inserted)
    assert slots.encoded_tokens <= episodes.begun * PROMPT  # the encoder reads a prompt once


@pytest.mark.parametrize("kind", SEQ2SEQ)
def test_log_probabilities_are_the_models_own(kind):
    model = tiny_model(kind)
    made = policy(model)
    episodes = Episodes(rows=3)
    for _ in range(4):
        episodes.step([5, 6, 7])
    obs = episodes.observe()
    with torch.no_grad():
        distribution = made.get_distribution(obs).distribution
        logits = model(**obs).logits
    last = obs["decoder_attention_mask"].sum(1).long() - 1
    expected = logits[torch.arange(3), last, :NUM_TOKENS].log_softmax(-1)
    torch.testing.assert_close(distribution.logits, expected, atol=1e-4, rtol=1e-3)


def test_an_unchanged_observation_is_answered_from_memory_and_a_waiting_row_comes_back_right():
    made, plain = policy(tiny_model("t5"), use_cache=True), policy(tiny_model("t5"), use_cache=False)
    episodes = Episodes(rows=3)
    with torch.no_grad():
        first = made.predict_values(episodes.observe())
        assert torch.equal(first, made.predict_values(episodes.observe()))
        assert made.caches.get(3, None).decoded_tokens == 3
        for step in range(6):  # row 2 waits for three steps, then goes on
            obs = episodes.observe()
            torch.testing.assert_close(made.predict_values(obs), plain.predict_values(obs), atol=3e-5, rtol=1e-4)
            rows = (0, 1) if step < 3 else (0, 1, 2)
            for row in rows:
                column = episodes.obs["decoder_attention_mask"][row].sum()
                episodes.obs["decoder_input_ids"][row, column] = 9 + row
                episodes.obs["decoder_attention_mask"][row, column] = 1


def test_a_prompt_that_changes_within_an_episode_is_noticed():
    made, plain = policy(tiny_model("bart")), policy(tiny_model("bart"), use_cache=False)
    episodes = Episodes(rows=3)
    with torch.no_grad():
        made.predict_values(episodes.observe())
        episodes.obs["input_ids"][1, 0] += 1
        obs = episodes.observe()
        torch.testing.assert_close(made.predict_values(obs), plain.predict_values(obs), atol=3e-5, rtol=1e-4)


@pytest.mark.parametrize(("algorithm", "options"), [(PPO, {"n_epochs": 2}), (A2C, {})], ids=["PPO", "A2C"])
@pytest.mark.parametrize("lora", [None, 2])
def test_sb3_trains_it(algorithm, options, lora, tmp_path):
    env = make_vec_env("textgym/Copy-v0", 4, seed=1, **SMALL)
    made = algorithm(
        LanguageModelPolicy, env, n_steps=12, seed=0, rollout_buffer_class=EpisodeRolloutBuffer,
        policy_kwargs={"model": tiny_model("t5"), "lora": lora, "reference": True},
        rollout_buffer_kwargs={"kl_coef": 0.1}, **options,
    )  # fmt: skip
    made.rollout_buffer.bind(made.policy)
    before = [p.clone() for p in made.policy.parameters() if p.requires_grad]
    made.learn(96)
    assert any(
        not torch.equal(a, b)
        for a, b in zip(before, (p for p in made.policy.parameters() if p.requires_grad), strict=True)
    )
    made.policy.save_pretrained(tmp_path)
    plain = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    obs = made.policy.obs_to_tensor(env.reset())[0]
    with torch.no_grad():
        logits = plain(**obs).logits[:, 0, : len(builtin_tokenizer())]
        expected = made.policy.get_distribution(obs).distribution.logits
    torch.testing.assert_close(logits.log_softmax(-1), expected, atol=1e-4, rtol=1e-3)
    made.save(tmp_path / "run.zip")
    again = algorithm.load(tmp_path / "run.zip", env)
    assert np.array_equal(again.predict(env.reset(), deterministic=True)[0].shape, (4,))


def test_the_same_seed_gives_the_same_completions():
    rollouts = []
    for _ in range(2):
        env = make_vec_env("textgym/Copy-v0", 4, seed=1, **SMALL)
        made = PPO(
            LanguageModelPolicy, env, n_steps=24, batch_size=48, n_epochs=2, seed=7,
            rollout_buffer_class=EpisodeRolloutBuffer, policy_kwargs={"model": tiny_model("marian")},
        )  # fmt: skip
        made.learn(192)
        rollouts.append(made.rollout_buffer.actions)
    assert np.array_equal(*rollouts)


def test_wrong_forms_and_models():
    causal = make_vec_env("textgym/Copy-v0", 2)
    with pytest.raises(ModelError, match=r'encoder-decoder model.*form="seq2seq"'):
        LanguageModelPolicy(causal.observation_space, causal.action_space, lambda _: 1e-3, model=tiny_model("t5"))
    with pytest.raises(ModelError, match=r'has no encoder.*form="causal"'):
        policy(tiny_model("gpt2"))
    lacking = spaces.Dict({name: box for name, box in space().items() if name != "decoder_attention_mask"})
    with pytest.raises(ConfigError, match="needs observations with decoder_attention_mask"):
        LanguageModelPolicy(lacking, spaces.Discrete(NUM_TOKENS), lambda _: 1e-3, model=tiny_model("t5"))
    with pytest.raises(ModelError, match="positions"):
        policy(tiny_model("bart", positions=8))


def test_a_cache_beyond_its_budget():
    made = policy(tiny_model("bart"), use_cache=True, max_cache_bytes=1000)
    with torch.no_grad(), pytest.raises(ModelError, match="more than max_cache_bytes allows"):
        made(Episodes(rows=5).observe())
