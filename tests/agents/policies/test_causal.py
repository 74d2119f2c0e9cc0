"""The proofs behind the policy: the cache changes nothing, log-probabilities are those of the sampled distribution."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.agents.tiny_models import tiny_model
from textgym.errors import ConfigError, ModelError
from textgym.tokenizer import builtin_tokenizer
from textgym_agents import EpisodeRolloutBuffer, LanguageModelPolicy, load, make, make_vec_env

NUM_TOKENS = len(builtin_tokenizer())
PROMPT, NEW = 9, 12


def space(width=PROMPT + NEW):
    ids = spaces.Box(0, NUM_TOKENS - 1, (width,), np.int64)
    return spaces.Dict(input_ids=ids, attention_mask=spaces.Box(0, 1, (width,), np.int8))


def policy(model, **options):
    made = LanguageModelPolicy(space(), spaces.Discrete(NUM_TOKENS), lambda _: 1e-3, model=model, **options)
    torch.nn.init.normal_(made.value_net.weight, std=0.015, generator=torch.Generator().manual_seed(1))
    return made


class Episodes:
    """Episodes that grow by the policy's tokens and restart at different times, prompts of different length."""

    def __init__(self, rows, seed=0):
        self.rng = np.random.default_rng(seed)
        self.ids = np.zeros((rows, PROMPT + NEW), np.int64)
        self.mask = np.zeros((rows, PROMPT + NEW), np.int8)
        self.generated = np.zeros(rows, int)
        self.prompt_tokens = self.inserted = 0  # without the last token of each prompt
        for row in range(rows):
            self.restart(row)

    def restart(self, row):
        length = self.rng.integers(1, PROMPT + 1)
        self.prompt_tokens += length - 1
        self.ids[row], self.mask[row], self.generated[row] = 0, 0, 0
        self.ids[row, PROMPT - length : PROMPT] = self.rng.integers(0, NUM_TOKENS, length)
        self.mask[row, PROMPT - length : PROMPT] = 1

    def observe(self):
        return {"input_ids": torch.tensor(self.ids), "attention_mask": torch.tensor(self.mask)}

    def step(self, actions):
        for row, action in enumerate(actions):
            column = PROMPT + self.generated[row]
            self.ids[row, column], self.mask[row, column] = action, 1
            self.generated[row] += 1
            if self.generated[row] == NEW or self.rng.random() < 0.15:
                self.restart(row)

    def insert(self, share):
        """A partner's reply of 1 to 4 tokens in some of the rows that are in an episode and have room for it."""
        for row, generated in enumerate(self.generated):
            tokens = self.rng.integers(0, NUM_TOKENS, self.rng.integers(1, 5))
            if 0 < generated < NEW - len(tokens) and self.rng.random() < share:
                columns = slice(PROMPT + generated, PROMPT + generated + len(tokens))
                self.ids[row, columns], self.mask[row, columns] = tokens, 1
                self.generated[row] += len(tokens)
                self.inserted += len(tokens)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_cached_equals_uncached(model, attention):
    model.set_attn_implementation(attention)
    cached, plain = policy(model, use_cache=True), policy(model, use_cache=False)
    episodes = Episodes(rows=5)
    for _ in range(30):
        obs = episodes.observe()
        with torch.no_grad():
            actions, values, log_probs = cached(obs)
            plain_values, plain_log_probs, _ = plain.evaluate_actions(obs, actions)
            torch.testing.assert_close(log_probs, plain_log_probs, atol=2e-5, rtol=1e-4)
            torch.testing.assert_close(values, plain_values, atol=2e-5, rtol=1e-4)
        episodes.step(actions.tolist())
    slots = cached.caches.get(5, None)
    assert slots.decoded_tokens == 5 * 30
    # Without the cache every step would compute every row's whole sequence, over ten tokens on average.
    assert slots.prefilled_tokens < 2 * slots.decoded_tokens


@pytest.mark.parametrize(("kind", "attention"), [("gpt2", "sdpa"), ("gpt2", "eager"), ("llama", "sdpa")])
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
            torch.testing.assert_close(log_probs, plain_log_probs, atol=2e-5, rtol=1e-4)
            torch.testing.assert_close(values, plain_values, atol=2e-5, rtol=1e-4)
        if step < 35:
            episodes.step(actions.tolist())
            episodes.insert(share=1 if step % 7 == 0 else 0.5)
    slots = cached.caches.get(5, None)
    assert episodes.inserted > 60
    assert (slots.prefilled_tokens, slots.extended_tokens) == (episodes.prompt_tokens, episodes.inserted)


def test_a_row_that_waited_and_then_got_several_tokens_is_read_anew():
    cached, plain = policy(tiny_model("llama"), use_cache=True), policy(tiny_model("llama"), use_cache=False)
    episodes = Episodes(rows=3)
    for rows, tokens in [((0, 1), 1), ((0, 1, 2), 1), ((0,), 1), ((0, 1), 3), ((2,), 4)]:
        for row in rows:
            columns = slice(PROMPT + episodes.generated[row], PROMPT + episodes.generated[row] + tokens)
            episodes.ids[row, columns], episodes.mask[row, columns] = range(9 + row, 9 + row + tokens), 1
            episodes.generated[row] += tokens
        obs = episodes.observe()
        with torch.no_grad():
            torch.testing.assert_close(cached.predict_values(obs), plain.predict_values(obs), atol=2e-5, rtol=1e-4)
    assert cached.caches.get(3, None).extended_tokens == 2  # of row 0


def test_the_cache_holds_no_more_than_it_says(model):
    made = policy(model, use_cache=True)
    with torch.no_grad():
        made(Episodes(rows=3).observe())
    slots = made.caches.get(3, None)
    config = model.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head_size = config.hidden_size // config.num_attention_heads
    columns = PROMPT + NEW + 16  # rows decode in step, so some columns are spare
    assert slots.nbytes == 2 * config.num_hidden_layers * 3 * heads * columns * head_size * 4 == made.cache_nbytes


def test_a_weight_update_empties_the_cache(model):
    cached, plain = policy(model), policy(model, use_cache=False)
    obs = Episodes(rows=4).observe()
    with torch.no_grad():
        before = cached.predict_values(obs)
        for made in (cached, plain):
            for parameter in made.lm.parameters():
                parameter.mul_(1.1)
        after = cached.predict_values(obs)
        torch.testing.assert_close(after, plain.predict_values(obs), atol=2e-5, rtol=1e-4)
    assert not torch.allclose(before, after)


def test_an_optimizer_step_empties_the_cache(model):
    made = policy(model)
    obs = Episodes(rows=4).observe()
    with torch.no_grad():
        made(obs)
    values, log_probs, _ = made.evaluate_actions(obs, torch.zeros(4))
    (values.sum() + log_probs.sum()).backward()
    made.optimizer.step()
    with torch.no_grad():
        fresh = made.predict_values(obs)
        made.use_cache = False
        torch.testing.assert_close(fresh, made.predict_values(obs), atol=2e-5, rtol=1e-4)


def test_dropout_stays_off():
    made = policy(tiny_model("gpt2", resid_pdrop=0.5, embd_pdrop=0.5, attn_pdrop=0.5))
    made.set_training_mode(True)
    obs = Episodes(rows=4).observe()
    first, second = (made.evaluate_actions(obs, torch.ones(4))[1] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    "options", [{"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.6}, {"temperature": 2, "top_p": 0.9}]
)
def test_log_probabilities_are_of_the_sampled_distribution(options):
    made = policy(tiny_model("gpt2"), **options)
    row = Episodes(rows=1).observe()
    obs = {name: tensor.expand(2000, -1) for name, tensor in row.items()}
    with torch.no_grad():
        actions, _, log_probs = made(obs)
    tokens, counts = actions.unique(return_counts=True)
    for token, count in zip(tokens, counts, strict=True):
        probability = log_probs[actions == token][0].exp().item()
        # Five standard deviations of a binomial: a wrong temperature or filter is off by far more.
        assert abs(count.item() / 2000 - probability) < 5 * np.sqrt(probability * (1 - probability) / 2000) + 1e-3
    if options.get("top_k"):
        assert len(tokens) <= 3


def test_sampling_is_seeded_and_apart_from_torchs_global_state():
    obs = Episodes(rows=4).observe()
    made = policy(tiny_model("gpt2"))
    state = torch.get_rng_state()
    with made.sampling_from(3):
        first = made.forward(obs)[0]
    with made.sampling_from(3):
        second = made.forward(obs)[0]
    assert torch.equal(first, second)
    assert torch.equal(state, torch.get_rng_state())


def test_masks_are_part_of_the_distribution(small_env):
    env = make_vec_env("textgym/Copy-v0", 4, min_new_tokens=3, banned_tokens=[5, 6], **small_env)
    ppo = make("ppo", env, tiny_model("gpt2"), n_steps=12, batch_size=48, n_epochs=1, kl_coef=0, seed=0)
    obs = ppo.policy.obs_to_tensor(env.reset())[0]
    log_probs = ppo.policy.get_distribution(obs).distribution.logits
    end = env.observation_space.eos_token_ids[0]
    assert torch.isinf(log_probs[:, [end, 5, 6]]).all()
    # The environment raises on a masked action, and a finite loss shows that -inf stays out of the gradient.
    ppo.learn(48)
    assert all(torch.isfinite(p).all() for p in ppo.policy.parameters())


def test_predict_save_load_and_evaluate(tmp_path, small_env):
    env = make_vec_env("textgym/Copy-v0", 4, seed=0, **small_env)
    tiny_model("llama").save_pretrained(tmp_path / "start")
    AutoTokenizer.from_pretrained(_builtin_folder()).save_pretrained(tmp_path / "start")
    ppo = make("ppo", env, str(tmp_path / "start"), n_steps=16, batch_size=32, kl_coef=0.1, seed=0)
    ppo.learn(64)
    obs = env.reset()
    action, state = ppo.predict(obs, deterministic=True)
    assert action.shape == (4,)
    assert state is None
    ppo.save(tmp_path / "checkpoint.zip")
    again = load("ppo", tmp_path / "checkpoint.zip", env)
    assert np.array_equal(again.predict(obs, deterministic=True)[0], action)
    again.learn(64)  # the KL penalty is bound to the initial model again
    mean, std = evaluate_policy(ppo, env, n_eval_episodes=6, warn=True)
    assert 0 <= mean <= 1
    assert std >= 0
    ppo.policy.save_pretrained(tmp_path / "policy")
    names = {p.name for p in (tmp_path / "policy").iterdir()}
    assert not [n for n in names if n.endswith((".bin", ".pt", ".pkl", ".zip"))]
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "policy")
    AutoTokenizer.from_pretrained(tmp_path / "policy")
    for ours, theirs in zip(ppo.policy.lm.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    third = make("ppo", env, str(tmp_path / "policy"), n_steps=16, batch_size=32, kl_coef=0)
    assert torch.equal(third.policy.value_net.weight, ppo.policy.value_net.weight)
    ppo.policy.save(tmp_path / "policy.pt")
    alone = LanguageModelPolicy.load(tmp_path / "policy.pt")
    assert np.array_equal(alone.predict(obs, deterministic=True)[0], action)


def _builtin_folder():
    from textgym.tokenizer import builtin_folder

    return builtin_folder()


def test_eval_callback(tmp_path, small_env):
    env = make_vec_env("textgym/Copy-v0", 4, seed=0, **small_env)
    held_out = make_vec_env("textgym/Copy-v0", 4, split="validation", seed=1, **small_env)
    ppo = make("ppo", env, tiny_model("gpt2"), n_steps=16, batch_size=32, kl_coef=0, seed=0)
    callback = EvalCallback(held_out, n_eval_episodes=4, eval_freq=8, best_model_save_path=str(tmp_path), verbose=0)
    ppo.learn(64, callback=callback)
    assert callback.n_calls == 16
    assert np.isfinite(callback.best_mean_reward)
    assert (tmp_path / "best_model.zip").is_file()


@pytest.mark.parametrize("rank", [2, {"r": 4, "target_modules": ["c_attn"]}])
def test_lora_trains_adapters_and_value_head_only(small_env, rank, tmp_path):
    env = make_vec_env("textgym/Copy-v0", 4, seed=0, **small_env)
    ppo = make(
        "ppo", env, tiny_model("gpt2"), lora=rank, n_steps=16, batch_size=32, kl_coef=0.1, seed=0, learning_rate=0.01
    )
    trained = {n for n, p in ppo.policy.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora_" in name or "value_net" in name for name in trained)
    assert ppo.policy.reference.copy is None  # one model, not two
    frozen = {n: p.clone() for n, p in ppo.policy.named_parameters() if n not in trained}
    ppo.learn(128)
    assert all(torch.equal(p, frozen[n]) for n, p in ppo.policy.named_parameters() if n in frozen)
    assert ppo.rollout_buffer.stats["kl_per_token"] != 0
    ppo.policy.save_pretrained(tmp_path)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path)
    ids = torch.arange(6)[None]
    torch.testing.assert_close(merged(ids).logits, ppo.policy.lm(ids).logits, atol=1e-4, rtol=1e-3)


def test_the_same_seed_gives_the_same_run(small_env):
    weights = []
    for _ in range(2):
        ppo = make(
            "ppo",
            "textgym/Copy-v0",
            tiny_model("gpt2"),
            n_envs=4,
            n_steps=16,
            batch_size=32,
            seed=5,
            env_kwargs=small_env,
        )
        ppo.learn(128)
        weights.append([p.clone() for p in ppo.policy.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


def test_the_cache_changes_no_run(small_env):
    """Runs with and without the cache write the same completions and end with nearly the same weights."""
    finals = []
    for use_cache in (True, False):
        ppo = make(
            "ppo", "textgym/Copy-v0", tiny_model("llama"), n_envs=4, n_steps=16, batch_size=64, seed=5,
            env_kwargs=small_env, policy_kwargs={"use_cache": use_cache},
        )  # fmt: skip
        ppo.learn(64)
        finals.append((ppo.rollout_buffer.actions, [p.clone() for p in ppo.policy.parameters()]))
    assert np.array_equal(finals[0][0], finals[1][0])
    for a, b in zip(finals[0][1], finals[1][1], strict=True):
        torch.testing.assert_close(a, b, atol=2e-3, rtol=1e-2)  # Adam's first step is about the sign of a gradient


def test_a_given_model_is_not_changed(small_env):
    model = tiny_model("gpt2")
    before = [p.clone() for p in model.parameters()]
    make("ppo", "textgym/Copy-v0", model, n_envs=4, n_steps=16, batch_size=32, env_kwargs=small_env, lora=2).learn(64)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert not any("lora" in name for name, _ in model.named_parameters())


def test_too_few_positions():
    with pytest.raises(ModelError, match=r"observations have 21 tokens.*only 16 positions"):
        policy(tiny_model("gpt2", positions=16))


def test_too_small_a_vocabulary():
    with pytest.raises(ModelError, match=f"tokenizer has {NUM_TOKENS + 100} tokens, the model only"):
        LanguageModelPolicy(space(), spaces.Discrete(NUM_TOKENS + 100), lambda _: 1e-3, model=tiny_model("gpt2"))


def test_broken_weights():
    made = policy(tiny_model("gpt2"))
    made.lm.transformer.ln_f.weight.data[0] = float("nan")
    with pytest.raises(ModelError, match="NaN or infinity"):
        made(Episodes(rows=2).observe())


@pytest.mark.parametrize(
    "options", [{"temperature": 0}, {"temperature": float("nan")}, {"top_k": -1}, {"top_p": 0}, {"top_p": 1.5}]
)
def test_bad_sampling_arguments(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        policy(tiny_model("gpt2"), **options)


def test_wrong_spaces():
    with pytest.raises(ConfigError, match="Dict of token ids"):
        LanguageModelPolicy(spaces.Box(0, 1, (3,)), spaces.Discrete(3), lambda _: 1e-3)
    with pytest.raises(ConfigError, match=r"No algorithm is called 'pppo'. Did you mean 'ppo'"):
        make("pppo", "textgym/Copy-v0")


def test_plain_sb3_line(small_env):
    """The line that the README promises, with SB3's own class."""
    env = make_vec_env("textgym/Copy-v0", 4, **small_env)
    ppo = PPO(
        LanguageModelPolicy, env, policy_kwargs={"model": tiny_model("gpt2")},
        rollout_buffer_class=EpisodeRolloutBuffer,
        n_steps=16, batch_size=32,
    )  # fmt: skip
    assert ppo.learn(64).num_timesteps == 64


def test_gradient_checkpointing_recomputes_and_changes_no_gradient():
    gradients, forwards = [], []
    for checkpointing in (False, True):
        made = policy(tiny_model("llama"), gradient_checkpointing=checkpointing)
        made.set_training_mode(True)
        calls = []
        made.lm.model.layers[0].mlp.register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        values, log_probs, _ = made.evaluate_actions(Episodes(rows=3).observe(), torch.ones(3))
        (values.sum() + log_probs.sum()).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in made.lm.parameters() if p.grad is not None]))
        forwards.append(len(calls))
    assert forwards == [1, 2]
    torch.testing.assert_close(*gradients)
