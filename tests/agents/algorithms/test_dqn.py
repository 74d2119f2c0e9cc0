"""DQN and QR-DQN: their networks against plain passes of the model, and SB3's unmodified updates by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sb3_contrib import QRDQN
from stable_baselines3 import DQN
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from tests.agents.checkpoint.test_checkpoint import assert_goes_on
from tests.agents.four_tokens import (
    COMPLETIONS,
    RETURNS,
    TALKS,
    assert_only_predictions_have_gradients,
    make_model,
    watch_hidden,
)
from tests.agents.four_tokens import make_env as four_tokens_env
from tests.agents.tiny_models import SMALL, tiny_model
from textgym.errors import ConfigError
from textgym_agents import load, make, make_vec_env
from textgym_agents.buffers.replay import EpisodeReplayBuffer
from textgym_agents.buffers.replay_episodes import CANDIDATES
from textgym_agents.checkpoint import load_checkpoint
from textgym_agents.envs.candidates import candidates
from textgym_agents.evaluation import evaluate
from textgym_agents.policies.dqn import DQNPolicy
from textgym_agents.policies.qrdqn import QRDQNPolicy

ROWS, K, BATCH = 4, 3, 12
SGD = {"optimizer_class": torch.optim.SGD, "optimizer_kwargs": {}}
POLICIES = {DQN: DQNPolicy, QRDQN: QRDQNPolicy}


def build(cls=DQN, seq2seq=False, *, k=K, moved=True, policy=None, env=None, replay=None, **options):
    """On the language of four tokens, with a value head and weights that are not the initial ones."""
    rows = candidates(four_tokens_env(ROWS, seq2seq=seq2seq, **(env or {})), make_model(seq2seq), k)
    defaults = {
        "learning_rate": 0.1, "learning_starts": 0, "batch_size": BATCH, "train_freq": 6, "gradient_steps": 1,
        "gamma": 1.0, "exploration_initial_eps": 0.0, "exploration_final_eps": 0.0, "max_grad_norm": 1e9,
        "target_update_interval": 10**9,
    }  # fmt: skip
    made = cls(
        POLICIES[cls], rows, seed=3, replay_buffer_class=EpisodeReplayBuffer,
        replay_buffer_kwargs={"n_steps": 1, "seed": 3, **(replay or {})},
        policy_kwargs={"model": make_model(seq2seq), "threshold": 0.0, **SGD, **(policy or {})},
        **{**defaults, **options},
    )  # fmt: skip
    rows.bind(made.policy)
    generator = torch.Generator().manual_seed(1)
    for name in made.policy.heads:
        head = getattr(made.policy, name)
        twin = getattr(getattr(made.policy, f"{made.policy.q_name}_target"), name)
        for ours, theirs in zip(head.parameters(), twin.parameters(), strict=True):
            torch.nn.init.normal_(ours, std=0.05 if moved else 0.0, generator=generator)
            theirs.data.copy_(ours.data * 0.5)  # so that mixing the two up shows
    if moved:
        for network, factor in ((made.policy, 1.3), (getattr(made.policy, f"{made.policy.q_name}_target"), 0.8)):
            with torch.no_grad():
                for parameter in network.lm.parameters():
                    parameter.mul_(factor)
    return made


def collect(algorithm, steps=6):
    """As ``learn`` does, without an update."""
    _, callback = algorithm._setup_learn(10**6)
    algorithm.collect_rollouts(
        algorithm.env, callback, algorithm.train_freq._replace(frequency=steps), algorithm.replay_buffer
    )


def states_of(batch):
    """(prompt, tokens so far, candidates) of every state of a batch."""
    states = []
    for sequence in batch.sequences:
        replies = {one.after: one.tokens.tolist() for one in sequence.inserted}
        so_far = sequence.context.tolist()
        for i, action in enumerate(sequence.actions.tolist()):
            so_far = [*so_far, *replies.get(i, [])]
            states.append((None if sequence.prompt is None else sequence.prompt.tolist(), so_far))
            so_far = [*so_far, action]
    return [(*state, row) for state, row in zip(states, batch.candidates.tolist(), strict=True)]


def pass_by_hand(lm, prompt, so_far, named):
    """(hidden size,) and the (k,) log-probabilities of the candidates, by a plain pass of the model over one state."""
    if prompt is None:
        passed = lm(input_ids=torch.tensor([so_far]), output_hidden_states=True)
        hidden = passed.hidden_states[-1][0, -1]
    else:
        ids = {"input_ids": torch.tensor([prompt]), "decoder_input_ids": torch.tensor([so_far])}
        passed = lm(**ids, output_hidden_states=True)
        hidden = passed.decoder_hidden_states[-1][0, -1]
    return hidden, passed.logits[0, -1][named].log_softmax(-1)


def q_by_hand(network, prompt, so_far, named, beta=0.3):
    """(heads' outputs, k) of one state."""
    hidden, log_pi = pass_by_hand(network.lm, prompt, so_far, named)
    with torch.no_grad():
        log_pi_0 = pass_by_hand(make_model(prompt is not None), prompt, so_far, named)[1]
    std = network.value_net.std
    features = 0.9 * hidden.detach() + 0.1 * hidden  # a tenth of the heads' gradient moves the model
    value = network.value_net(features)
    if hasattr(network, "spread_net"):
        spread = std * network.spread_net(network.value_net.features(features))
        value = value + spread - spread.mean()
    return value[:, None] + beta * std * (log_pi - log_pi_0)


def by_hand(network, batch, **options):
    """(n, heads' outputs, k) of the rows of a batch; zeros where a row means no state."""
    known = [q_by_hand(network, *state, **options) for state in states_of(batch)]
    take = range(len(known)) if batch.take is None else batch.take.tolist()
    shape = known[0].shape if known else (1, K)
    return torch.stack([known[i] if i >= 0 else torch.zeros(shape) for i in take])


@pytest.mark.parametrize("cls", [DQN, QRDQN])
@pytest.mark.parametrize("seq2seq", [False, True])
@pytest.mark.parametrize("talks", [False, True])
def test_an_unmodified_update_equals_one_by_hand(cls, seq2seq, talks):
    options = {"policy": {"n_quantiles": 5}} if cls is QRDQN else {}
    algorithm = build(cls, seq2seq, env=TALKS if talks else {}, **options)
    collect(algorithm, 12 if talks else 6)
    network = getattr(algorithm.policy, algorithm.policy.q_name)
    target = getattr(algorithm.policy, f"{algorithm.policy.q_name}_target")
    state = algorithm.replay_buffer.rng.bit_generator.state
    samples = algorithm.replay_buffer.sample(BATCH)
    algorithm.replay_buffer.rng.bit_generator.state = state  # the update draws the same
    assert any(sequence.inserted for sequence in samples.observations.sequences) == talks
    assert 0 < samples.dones.sum() < BATCH
    assert not network.value_net.begun
    for one in (network, target):  # the first minibatch tells the heads what returns are like
        one(samples.observations)
        held = [episode.rewards.sum() for episode in algorithm.replay_buffer.episodes.values()]
        assert one.value_net.mean.item() == pytest.approx(np.mean(held))
        assert one.value_net.std.item() == pytest.approx(np.std(held))

    now, following = by_hand(network, samples.observations), by_hand(target, samples.next_observations)
    rows, actions = torch.arange(BATCH), samples.actions.flatten()
    best = following.mean(1).argmax(-1)
    goals = samples.rewards + (1 - samples.dones) * following[rows, :, best].detach()  # (n, outputs)
    chosen = now[rows, :, actions]
    if cls is DQN:
        error = (goals - chosen).abs()
        loss = torch.where(error < 1, error**2 / 2, error - 0.5).mean()
    else:
        error = goals[:, :, None] - chosen[:, None]  # (n, goals, quantiles)
        quantile = (torch.arange(5) + 0.5) / 5
        huber = torch.where(error.abs() < 1, error**2 / 2, error.abs() - 0.5)
        loss = ((quantile - (error < 0).float()).abs() * huber).sum(2).mean()
    gradients = torch.autograd.grad(loss, list(network.parameters()), materialize_grads=True)
    expected = [p.detach() - 0.1 * g for p, g in zip(network.parameters(), gradients, strict=True)]
    before = [p.detach().clone() for p in network.parameters()]

    algorithm.train(1, BATCH)
    assert algorithm.logger.name_to_value["train/loss"] == pytest.approx(loss.item(), rel=1e-4)
    for name, parameter, wanted, old in zip(network.names, network.parameters(), expected, before, strict=True):
        torch.testing.assert_close(parameter - old, wanted - old, atol=2e-6, rtol=1e-3, msg=name)
    moved = {name.split(".")[0] for name, p, old in zip(network.names, network.parameters(), before, strict=True)
             if not torch.equal(p, old)}  # fmt: skip
    assert moved == {"lm", *algorithm.policy.heads}


def test_what_a_partner_says_has_exactly_no_gradient():
    """Of the last hidden states, those from which a token of the partner's would be predicted get zeros."""
    algorithm = build(env=TALKS, replay={"targets": "watkins"})
    collect(algorithm, 30)
    buffer, drawn = algorithm.replay_buffer, []
    buffer.bind(algorithm.policy)
    sample = buffer.sample
    buffer.sample = lambda *args, **kwargs: drawn.append(sample(*args, **kwargs)) or drawn[-1]
    seen = watch_hidden(algorithm.policy)
    algorithm.train(1, 80)
    assert_only_predictions_have_gradients(seen)
    replies = [one for sequence in drawn[0].observations.sequences for one in sequence.inserted]
    assert len(replies) > 3
    assert sum(block.input_ids.numel() - len(block.columns) for block, _ in seen) >= sum(len(r.tokens) for r in replies)


def test_a_run_with_conversations_goes_on_exactly_from_the_middle_of_some(tmp_path):
    def made(seed):
        explore = {"exploration_initial_eps": 0.5, "exploration_final_eps": 0.2, "target_update_interval": 12}
        policy = {"model": make_model(), "exploration": "epsilon_greedy"}
        env = four_tokens_env(ROWS, **TALKS)
        sizes = {"train_freq": 4, "batch_size": BATCH, "buffer_size": 40, "num_candidates": K, "learning_rate": 1e-2}
        return make("dqn", env, seed=seed, policy_kwargs=policy, **sizes, **explore)

    assert_goes_on(made, tmp_path / "whole")
    replies = []
    for checkpoint in (tmp_path / "whole").iterdir():
        again = made(3)
        load_checkpoint(again, checkpoint)
        replies += [one for episode in again.replay_buffer.open if episode is not None for one in episode.inserted]
    assert replies


def test_values_get_their_scale_from_the_first_returns_that_differ():
    """In a sparse task the first completions all score 0, which says nothing of how far apart values will be."""
    algorithm = build()
    collect(algorithm)
    network, batch = algorithm.policy.q_net, algorithm.replay_buffer.sample(BATCH).observations
    network(replace(batch, returns=np.zeros(64)))
    assert not network.value_net.begun
    network(replace(batch, returns=np.eye(1, 64)[0]))
    assert network.value_net.std.item() == pytest.approx(np.eye(1, 64)[0].std())
    network(replace(batch, returns=np.arange(64.0)))
    assert network.value_net.std.item() == pytest.approx(np.eye(1, 64)[0].std())


@pytest.mark.parametrize("cls", [DQN, QRDQN])
def test_the_target_network_chooses_among_probable_candidates(cls):
    algorithm = build(cls, policy={"threshold": 0.9})
    collect(algorithm)
    target = getattr(algorithm.policy, f"{algorithm.policy.q_name}_target")
    batch = algorithm.replay_buffer.sample(BATCH).observations
    values, plain = target(batch).detach(), by_hand(target, batch).detach()
    values = values[:, None] if cls is DQN else values
    with torch.no_grad():
        log_pi_0 = torch.stack([pass_by_hand(make_model(), *state)[1] for state in states_of(batch)])
    probable = log_pi_0 >= log_pi_0.amax(-1, keepdim=True) + np.log(0.9)
    assert 0 < probable.float().mean() < 1
    expected = torch.where(probable[:, None], plain, -torch.inf)
    torch.testing.assert_close(values, expected, atol=1e-5, rtol=1e-4)
    best = algorithm.policy.best_candidates(batch)
    assert torch.equal(best, expected.mean(1).argmax(-1))
    assert getattr(algorithm.policy, algorithm.policy.q_name)(batch).isfinite().all()  # the online network has all


@pytest.mark.parametrize("kind", ["gpt2", "llama", "t5", "t5-tied", "bart", "marian"])
@pytest.mark.parametrize("cls", [DQN, QRDQN])
def test_values_of_a_batch_equal_those_of_plain_observations(cls, kind):
    model = tiny_model(kind)
    seq2seq = model.config.is_encoder_decoder
    form = {"form": "seq2seq", "decoder_start_token_id": 0} if seq2seq else {}
    env = candidates(make_vec_env("textgym/Copy-v0", ROWS, seed=3, **SMALL, **form), model, 6)
    policy = POLICIES[cls](env.observation_space, env.action_space, lambda _: 0.1, model=model)
    env.bind(policy)
    with torch.no_grad():
        for parameter in policy.lm.parameters():
            parameter.mul_(1.3)  # away from the initial weights
    generator = torch.Generator().manual_seed(1)
    for name in policy.heads:
        torch.nn.init.normal_(getattr(policy, name).weight, generator=generator)
    policy.value_net.rollouts.fill_(1)  # it has its scale
    buffer = EpisodeReplayBuffer(1000, env.observation_space, env.action_space, n_envs=ROWS, n_steps=1, seed=0)
    rng, obs, shown = np.random.default_rng(0), env.reset(), {}
    prefix = "decoder_" if seq2seq else ""
    with torch.no_grad():
        for _ in range(25):
            values = policy.network(policy.obs_to_tensor(obs)[0])  # with its slot cache
            for row in range(ROWS):
                ids, mask = obs[f"{prefix}input_ids"][row], obs[f"{prefix}attention_mask"][row] != 0
                prompt = obs["input_ids"][row][obs["attention_mask"][row] != 0] if seq2seq else ids[:0]
                shown[prompt.tobytes(), ids[mask].tobytes()] = values[row]
            actions = rng.integers(0, 6, ROWS)
            new_obs, rewards, dones, infos = env.step(actions)
            buffer.add(obs, new_obs, actions, rewards, dones, infos)
            obs = new_obs
    batch = buffer.sample(40).observations
    expected = torch.stack([
        shown[np.array(prompt or [], np.int64).tobytes(), np.array(so_far, np.int64).tobytes()]
        for prompt, so_far, _ in states_of(batch)
    ])  # fmt: skip
    values = policy.network(batch)
    assert values.shape == ((40, 6) if cls is DQN else (40, 16, 6))
    torch.testing.assert_close(values, expected, atol=1e-4, rtol=1e-4)
    assert expected.std() > 0.1
    if cls is QRDQN:
        torch.testing.assert_close(policy.q_values(batch), expected.mean(1), atol=1e-4, rtol=1e-4)


def test_without_a_finished_completion_an_update_changes_nothing():
    algorithm = build(env={"min_new_tokens": 3})
    collect(algorithm, 2)
    before = [p.detach().clone() for p in algorithm.q_net.parameters()]
    algorithm.train(2, BATCH)
    assert algorithm.logger.name_to_value["train/loss"] == 0
    assert all(torch.equal(p, old) for p, old in zip(algorithm.q_net.parameters(), before, strict=True))


@pytest.mark.parametrize("seq2seq", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_boltzmann_exploration(seq2seq, temperature):
    """The model over the candidates, which is the initial one times exp(Q / beta)."""
    algorithm = build(seq2seq=seq2seq, policy={"temperature": temperature})
    obs = algorithm.env.reset()
    repeated = {key: np.repeat(value[:1], 4000, 0) for key, value in obs.items()}
    prompt = obs["input_ids"][0][obs["attention_mask"][0] != 0].tolist()
    state = (prompt, [0]) if seq2seq else (None, prompt)
    with torch.no_grad():
        values = algorithm.q_net(algorithm.policy.obs_to_tensor(obs)[0])[0]
        log_pi_0 = pass_by_hand(make_model(seq2seq), *state, obs[CANDIDATES][0])[1]
        log_pi = pass_by_hand(algorithm.policy.lm, *state, obs[CANDIDATES][0])[1]
    torch.testing.assert_close((log_pi_0 + values / 0.3).log_softmax(-1), log_pi)
    expected = (log_pi / temperature).softmax(-1).numpy()
    frequencies = np.bincount(algorithm.predict(repeated)[0], minlength=K) / 4000
    assert np.abs(frequencies - expected).max() < 4 * 0.5 / 4000**0.5
    assert (algorithm.predict(repeated, deterministic=True)[0] == expected.argmax()).all()
    assert np.sort(expected)[1] > 0.02


def test_training_begins_with_the_initial_model():
    algorithm = build(moved=False)
    obs = algorithm.policy.obs_to_tensor(algorithm.env.reset())[0]
    with torch.no_grad():
        values = algorithm.q_net(obs)
    torch.testing.assert_close(values, algorithm.policy.predict_values(obs).detach().expand(-1, K))


def test_a_repeated_candidate_is_no_more_probable():
    algorithm = build(env={"allowed_tokens": [0, 2]})
    obs = algorithm.env.reset()
    assert (obs[CANDIDATES][:, 2] == obs[CANDIDATES][:, 0]).all()
    repeated = {key: np.repeat(value[:1], 2000, 0) for key, value in obs.items()}
    assert set(algorithm.predict(repeated)[0].tolist()) == {0, 1}
    with torch.no_grad():
        values = algorithm.q_net(algorithm.policy.obs_to_tensor(obs)[0])
        state = algorithm.policy.predict_values(algorithm.policy.obs_to_tensor(obs)[0])
    torch.testing.assert_close(values[:, 2], values[:, 0])
    for row in range(ROWS):
        prompt = obs["input_ids"][row][obs["attention_mask"][row] != 0].tolist()
        with torch.no_grad():
            log_pi_0 = pass_by_hand(make_model(), None, prompt, obs[CANDIDATES][row][:2])[1]
        whole = (log_pi_0 + (values - state)[row, :2] / 0.3).exp().sum()
        assert whole.item() == pytest.approx(1, abs=1e-4)


def test_epsilon_greedy_exploration():
    algorithm = build(policy={"exploration": "epsilon_greedy"}, exploration_initial_eps=0.5, exploration_final_eps=0.5)
    algorithm.exploration_rate = 0.5
    obs = algorithm.env.reset()
    algorithm.action_space.seed(0)
    best = algorithm.predict(obs, deterministic=True)[0]
    actions = np.stack([algorithm.predict(obs)[0] for _ in range(600)])
    # Half of the steps take the best, the others any of the three for each row.
    for row in range(ROWS):
        shares = np.bincount(actions[:, row], minlength=K) / 600
        assert shares[best[row]] == pytest.approx(0.5 + 0.5 / K, abs=0.08)
        assert shares.min() == pytest.approx(0.5 / K, abs=0.06)


@pytest.mark.parametrize("seq2seq", [False, True])
def test_on_a_plain_environment_it_answers_with_tokens(seq2seq):
    algorithm = build(seq2seq=seq2seq)
    algorithm.learn(120)  # away from the initial weights, which still name the candidates
    obs, rng = algorithm.env.reset(), np.random.default_rng(0)
    for _ in range(8):
        plain = {key: value for key, value in obs.items() if key != CANDIDATES}
        best = algorithm.policy.predict(obs, deterministic=True)[0]
        expected = obs[CANDIDATES][np.arange(ROWS), best]
        assert algorithm.policy.predict(plain, deterministic=True)[0].tolist() == expected.tolist()
        sampled = algorithm.policy.predict(plain)[0]
        assert (sampled[:, None] == obs[CANDIDATES]).any(1).all()
        obs = algorithm.env.step(rng.integers(0, K, ROWS))[0]
    one = {key: value[0] for key, value in plain.items()}
    assert (
        algorithm.policy.predict(one, deterministic=True)[0]
        == algorithm.policy.predict(plain, deterministic=True)[0][0]
    )


@pytest.mark.parametrize("cls", [DQN, QRDQN])
def test_the_target_network_follows(cls):
    algorithm = build(cls, target_update_interval=ROWS * 6)
    collect(algorithm)
    batch = algorithm.replay_buffer.sample(BATCH).observations
    network = getattr(algorithm.policy, algorithm.policy.q_name)
    target = getattr(algorithm.policy, f"{algorithm.policy.q_name}_target")
    torch.testing.assert_close(target(batch), network(batch))  # after six steps
    algorithm.train(3, BATCH)
    assert (target(batch) - network(batch)).abs().max() > 1e-3
    assert not any(p.requires_grad for p in target.lm.parameters())
    own = {id(p) for group in algorithm.policy.optimizer.param_groups for p in group["params"]}
    assert own == {id(p) for p in network.parameters()}


def test_under_lora_only_adapters_are_copied():
    env = candidates(make_vec_env("textgym/Copy-v0", ROWS, seed=3, **SMALL), "textgym/small", 4)
    algorithm = DQN(
        DQNPolicy, env, seed=0, learning_starts=0, train_freq=12, gradient_steps=2, batch_size=32, gamma=1.0,
        target_update_interval=ROWS * 5, replay_buffer_class=EpisodeReplayBuffer, learning_rate=1e-2,
        policy_kwargs={"model": "textgym/small", "lora": 2},
    )  # fmt: skip
    env.bind(algorithm.policy)
    obs = env.reset()
    before = {name: p.detach().clone() for name, p in algorithm.policy.lm.named_parameters()}
    algorithm.learn(ROWS * 36)
    changed = {name for name, p in algorithm.policy.lm.named_parameters() if not torch.equal(p, before[name])}
    assert changed
    assert all("lora_" in name for name in changed)
    assert all("lora_" in name or name.startswith("value_net") for name in algorithm.q_net.names)
    ours, theirs = algorithm.q_net.lm.named_parameters(), algorithm.q_net_target.lm.named_parameters()
    assert {name for (name, p), (_, q) in zip(ours, theirs, strict=True) if p is not q} == {
        name for name in before if "lora_" in name
    }
    # The candidates are still those of the model without adapters.
    named = algorithm.policy.proposals({k: torch.as_tensor(v) for k, v in obs.items() if k != CANDIDATES})
    assert named.tolist() == obs[CANDIDATES].tolist()


@pytest.mark.parametrize(("name", "kind"), [("dqn", "gpt2"), ("dqn", "t5"), ("qrdqn", "gpt2"), ("qrdqn", "bart")])
def test_by_name(name, kind, tmp_path):
    model = tiny_model(kind)
    env_kwargs = {**SMALL, **({"form": "seq2seq", "decoder_start_token_id": 0} if kind != "gpt2" else {})}
    options = {"n_envs": 4, "seed": 0, "env_kwargs": env_kwargs, "train_freq": 12, "batch_size": 32}
    made = make(name, "textgym/Copy-v0", model, num_candidates=5, **options)
    assert type(made) is {"dqn": DQN, "qrdqn": QRDQN}[name]  # unmodified
    assert made.action_space.n == 5
    made.learn(4 * 36)
    evaluation = evaluate(made, "textgym/Copy-v0", 8, deterministic=True, env_kwargs=env_kwargs)
    assert len(evaluation.samples) == 8
    made.save(tmp_path / "made.zip")
    # The environment with another number of candidates than the table's is given ready.
    plain = make_vec_env("textgym/Copy-v0", 4, **env_kwargs)
    again = load(name, tmp_path / "made.zip", candidates(plain, model, 5))
    obs = made.env.reset()
    assert np.array_equal(again.predict(obs, deterministic=True)[0], made.predict(obs, deterministic=True)[0])
    again.learn(4 * 24, reset_num_timesteps=False)
    made.policy.save_pretrained(tmp_path / "policy")
    kept = (AutoModelForSeq2SeqLM if kind != "gpt2" else AutoModelForCausalLM).from_pretrained(tmp_path / "policy")
    for ours, theirs in zip(made.policy.lm.parameters(), kept.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    from_policy = make(
        "a2c", "textgym/Copy-v0", str(tmp_path / "policy"), n_envs=2,
        env_kwargs={**env_kwargs, "tokenizer": "textgym/small"},
    )  # fmt: skip
    assert torch.equal(from_policy.policy.value_net.weight, made.policy.value_net.weight)


def test_the_same_seed_trains_the_same():
    ends = []
    for _ in range(2):
        algorithm = build(policy={"optimizer_class": torch.optim.AdamW})
        algorithm.learn(ROWS * 24)
        ends.append(torch.cat([p.detach().flatten() for p in algorithm.q_net.parameters()]))
    assert torch.equal(*ends)


@pytest.mark.slow
@pytest.mark.parametrize(("cls", "least"), [(DQN, 1.19), (QRDQN, 0.35)])
def test_from_random_completions_it_learns_to_write_good_ones(cls, least):
    """There are 40 completions with returns from -2.0 to 1.8, 0.1 in the mean; 1.19 is the fourth best. The initial
    model's greedy completion has -0.5. One-step targets, so that it must plan ahead."""
    algorithm = build(
        cls, k=4, moved=False, learning_rate=3e-3, batch_size=64, gradient_steps=4, train_freq=4,
        target_update_interval=ROWS * 12, exploration_initial_eps=1.0, exploration_final_eps=1.0,
        policy={"optimizer_class": torch.optim.AdamW, "exploration": "epsilon_greedy"},
    )  # fmt: skip
    assert len(RETURNS) == len(COMPLETIONS) == 40
    assert _greedy_return(algorithm) < 0
    algorithm.learn(ROWS * 450)
    assert _greedy_return(algorithm) > least


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dqn", "qrdqn"])
def test_it_learns_to_write_positive_completions(name):
    """The initial model has a reward of 0.51 on held-out prompts."""
    made = make(name, "textgym/SentimentContinuation-v0", seed=0)
    made.learn(10_240)
    assert evaluate(made, "textgym/SentimentContinuation-v0", 100).reward > 0.7


def _greedy_return(algorithm):
    obs, dones = algorithm.env.reset(), [False]
    while not dones[0]:
        obs, rewards, dones, _ = algorithm.env.step(algorithm.predict(obs, deterministic=True)[0])
    return float(rewards[0])


@pytest.mark.parametrize("cls", [DQN, QRDQN])
def test_a_larger_value_gain_moves_values_faster(cls):
    moved = []
    for gain in (10.0, 100.0):
        algorithm = build(cls, policy={"value_gain": gain}, moved=False, learning_rate=1e-3)
        assert algorithm.policy.value_net.gain == gain
        assert getattr(algorithm.policy, f"{algorithm.policy.q_name}_target").value_net.gain == gain
        obs = algorithm.policy.obs_to_tensor(algorithm.env.reset())[0]
        before = algorithm.policy.q_values(obs).mean().item()
        algorithm.learn(24)
        moved.append(abs(algorithm.policy.q_values(obs).mean().item() - before))
    assert moved[1] > 2 * moved[0] > 0


def test_unusable_arguments():
    with pytest.raises(ConfigError, match="beta is 0, expected above 0"):
        build(policy={"beta": 0})
    with pytest.raises(ConfigError, match="threshold is 2, expected a number from 0 to 1"):
        build(policy={"threshold": 2})
    with pytest.raises(ConfigError, match="value_gain is 0, expected a number above 0"):
        build(policy={"value_gain": 0})
    with pytest.raises(ConfigError, match="exploration is 'random'"):
        build(policy={"exploration": "random"})
    with pytest.raises(ConfigError, match="n_quantiles is 0"):
        build(QRDQN, policy={"n_quantiles": 0})
    env = four_tokens_env(2)
    with pytest.raises(ConfigError, match="needs observations with candidates"):
        DQNPolicy(env.observation_space, env.action_space, lambda _: 0.1, model=make_model())
    with pytest.raises(ConfigError, match="'dqn' takes no KL penalty"):
        make("dqn", "textgym/Copy-v0", kl_coef=0.1)


def test_make_tells_the_replay_buffer_the_discount():
    """Its n-step returns would otherwise discount by 1 while the algorithm discounts by another number."""
    made = make("dqn", "textgym/Copy-v0", n_envs=2, gamma=0.9)
    assert made.replay_buffer.gamma == made.gamma == 0.9
    buffer = make("dqn", "textgym/Copy-v0", n_envs=2, replay_buffer_kwargs={"n_steps": 3}).replay_buffer
    assert (buffer.n_steps, buffer.targets) == (3, "watkins")
    assert buffer.policy is not None
