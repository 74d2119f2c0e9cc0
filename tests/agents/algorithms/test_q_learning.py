"""Q-learning and SARSA: their returns and steps by hand, and their fixed points against dynamic programming.

The language of four tokens has 40 completions. So the optimal values of all prefixes, and those under a policy, are
sums that can be written out.
"""

import numpy as np
import pytest
import torch

import textgym_agents
from tests.agents.four_tokens import (
    COMPLETIONS,
    END,
    HORIZON,
    LOGGED_TALKS,
    RETURNS,
    TALKS,
    assert_only_predictions_have_gradients,
    batch_of,
    make_env,
    make_model,
    pass_over_turns,
    rewards_of_turns,
    slow_returns,
    watch_hidden,
)
from tests.agents.saved_model import save_tiny_model
from textgym.conversations import policy_tokens
from textgym.errors import ConfigError
from textgym.mdp import text_env
from textgym.tokenizer import BUILTIN_TINY
from textgym_agents.algorithms.q_learning import QLearning
from textgym_agents.algorithms.sarsa import SARSA
from textgym_agents.buffers.episodes import Episode
from textgym_agents.buffers.offline import LoggedEpisode, as_episodes
from textgym_agents.evaluation import evaluate
from textgym_agents.policies.base import LanguageModelPolicy
from textgym_agents.policies.q_learning import QLearningPolicy

BOTH = pytest.mark.parametrize("seq2seq", [False, True], ids=["causal", "seq2seq"])
EITHER = pytest.mark.parametrize("algorithm", [QLearning, SARSA])
BETA = 0.3
# Steps of a size that makes a small model take the place of a table.
TABLE_LIKE = {
    "learning_rate": 5e-3,
    "vf_coef": 20.0,
    "max_grad_norm": 10.0,
    "policy_kwargs": {"optimizer_kwargs": {"eps": 1e-4}},
}


def build(algorithm, seq2seq=False, env=None, **options):
    """An algorithm whose learning rate is 0 by default."""
    made = algorithm(
        QLearningPolicy,
        make_env(2, seq2seq=seq2seq, **(env or {})),
        seed=0,
        **{
            "learning_rate": 0.0,
            "max_grad_norm": 1e9,
            "beta": BETA,
            **options,
            "policy_kwargs": {"model": make_model(seq2seq), **options.get("policy_kwargs", {})},
        },
    )
    made._setup_learn(100)
    torch.nn.init.normal_(made.policy.value_net.weight, std=0.015, generator=torch.Generator().manual_seed(1))
    return made


def episodes(completions, seq2seq=False):
    """As a rollout would have stored them, the return at the end; values and log-probabilities are not looked at."""
    return [
        Episode(
            sequence.context,
            sequence.prompt,
            sequence.actions,
            np.array([0.0] * (len(sequence.actions) - 1) + [RETURNS[tuple(sequence.actions.tolist())]]),
            *np.zeros((2, len(sequence.actions))),
        )
        for sequence in batch_of(completions, seq2seq)[0].sequences
    ]


# ---------------------------------------------------------------------- the policy


@BOTH
@pytest.mark.parametrize("options", [{}, {"temperature": 0.7}], ids=["plain", "temperature"])
def test_gaps_reach_the_largest_log_probability(seq2seq, options):
    policy = build(QLearning, seq2seq, policy_kwargs=options).policy
    batch, actions = batch_of(COMPLETIONS, seq2seq)
    tokens = policy.token_values(batch, actions)
    values, expected, entropies = policy.evaluate_actions(batch, actions)
    torch.testing.assert_close(tokens.log_probs, expected)
    torch.testing.assert_close(tokens.values, values.flatten())
    torch.testing.assert_close(tokens.entropies, entropies)
    with torch.no_grad():
        full = policy.get_distribution(batch).distribution.logits.log_softmax(-1)
    legal = torch.isfinite(expected)
    torch.testing.assert_close((tokens.log_probs + tokens.greedy_gap)[legal], full.max(1).values[legal])
    assert ((tokens.greedy_gap == 0) == (full.argmax(1) == actions)).all()
    assert 0 < (tokens.greedy_gap == 0).sum() < len(actions)


def test_gaps_are_the_same_in_blocks_that_are_computed_twice():
    batch, actions = batch_of(COMPLETIONS)
    whole, cut = build(QLearning).policy, build(QLearning, policy_kwargs={"max_logits": 20}).policy
    one, other = (policy.token_values(batch, actions) for policy in (whole, cut))
    for policy, tokens in ((whole, one), (cut, other)):
        (tokens.log_probs * torch.linspace(-1, 1, len(actions))).sum().backward()
        assert policy.lm.get_output_embeddings().weight.grad.abs().max() > 1e-3
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(*(p.lm.get_output_embeddings().weight.grad for p in (whole, cut)))


def frequencies(policy, rows=4000):
    """(4,) how often each token is tried after the prompt "a b", and the language model's probabilities."""
    ids = torch.zeros(rows, 5, dtype=torch.long)
    ids[:, :2] = torch.tensor([1, 2])
    obs = {"input_ids": ids, "attention_mask": (torch.arange(5) < 2).long().repeat(rows, 1)}
    with torch.no_grad():
        actions, _, log_prob = policy(obs)
        full = policy.get_distribution({k: v[:1] for k, v in obs.items()}).distribution.logits.log_softmax(-1)[0]
        torch.testing.assert_close(log_prob, full[actions])  # of the language model, whatever the exploration
        assert (policy(obs, deterministic=True)[0] == full.argmax()).all()
        assert (policy._predict(obs, deterministic=True) == full.argmax()).all()
    return torch.bincount(actions, minlength=4) / rows, full


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
@pytest.mark.parametrize("epsilon", [None, 0.0, 0.4])
def test_exploration_has_the_frequencies_it_says(temperature, epsilon):
    how = {"boltzmann_temperature": temperature}
    if epsilon is not None:
        how |= {"exploration": "epsilon_greedy", "epsilon": epsilon}
    shares, full = frequencies(build(SARSA, **how).policy)
    drawn = (full / temperature).softmax(-1)
    share = 1.0 if epsilon is None else epsilon
    expected = share * drawn + (1 - share) * torch.nn.functional.one_hot(full.argmax(), 4)
    torch.testing.assert_close(shares, expected, atol=0.03, rtol=0)


# ---------------------------------------------------------------------- a step


def flat_gradient(made):
    return torch.cat([p.grad.flatten().clone() for p in made.policy.parameters()])


def plain_step(made, completions, td_lambda):
    """(weights,) minus the direction of the step, token by token, by plain passes and the slow returns."""
    lm, episodes = made.policy.lm, []
    for completion in completions:
        if lm.config.is_encoder_decoder:
            out = lm(
                input_ids=torch.tensor([[1, 2]]),
                decoder_input_ids=torch.tensor([[0, *completion[:-1]]]),
                output_hidden_states=True,
            )
            hidden, logits = out.decoder_hidden_states[-1][0], out.logits[0]
        else:
            out = lm(input_ids=torch.tensor([[1, 2, *completion[:-1]]]), output_hidden_states=True)
            hidden, logits = out.hidden_states[-1][0, 1:], out.logits[0, 1:]
        rewards = [0.0] * (len(completion) - 1) + [RETURNS[completion]]
        episodes.append((completion, rewards, hidden, logits.log_softmax(-1)))
    return step_of(made, episodes, td_lambda)


def step_of(made, episodes, td_lambda):
    """The same from the tokens, rewards, hidden states (tokens, size) and log-probabilities (tokens, 4) of episodes."""
    head, is_q = made.policy.value_net, isinstance(made, QLearning)
    terms, heads, count = 0.0, 0.0, sum(len(tokens) for tokens, *_ in episodes)
    for tokens, rewards, hidden, full in episodes:
        at = torch.arange(len(tokens)), torch.tensor(tokens)
        values = head(hidden).flatten()
        q = (values[:, None] + BETA * full).detach().double()
        taken = q[at]
        if is_q:
            greedy = [
                made.traces == "peng" or best == token for best, token in zip(q.argmax(1).tolist(), tokens, strict=True)
            ]
            returns = slow_returns(rewards, q.max(1).values.tolist(), td_lambda, greedy)
        else:
            returns = slow_returns(rewards, taken.tolist(), td_lambda, [True] * len(tokens))
        delta = (torch.tensor(returns) - taken).float()
        terms = terms + (delta * full[at]).sum() / len(episodes)
        heads = heads + (delta * values).sum() / count
    made.policy.zero_grad()
    (-terms - made.vf_coef * heads).backward()
    return flat_gradient(made)


@BOTH
@pytest.mark.parametrize("td_lambda", [0.0, 0.6])
@pytest.mark.parametrize(
    ("algorithm", "options"), [(SARSA, {}), (QLearning, {"traces": "watkins"}), (QLearning, {"traces": "peng"})]
)
def test_a_step_equals_its_formula(algorithm, options, seq2seq, td_lambda):
    made = build(algorithm, seq2seq, td_lambda=td_lambda, vf_coef=0.7, **options)
    completions = [COMPLETIONS[i] for i in (0, 2, 5, 9, 20, 33)]
    made.rollout_buffer.fill(episodes(completions, seq2seq))
    made.train()
    ours = flat_gradient(made)
    expected = plain_step(made, completions, td_lambda)
    assert expected.abs().max() > 1e-2
    torch.testing.assert_close(ours, expected, atol=2e-5 * expected.abs().max().item(), rtol=1e-4)
    logged = made.logger.name_to_value
    assert logged["train/td_loss"] > 0
    assert 0 <= logged["train/greedy_share"] <= 1


@BOTH
@EITHER
def test_a_step_on_conversations_equals_its_formula(algorithm, seq2seq):
    """Returns go from one of the policy's tokens to the next, over what the partner says between them."""
    made = build(algorithm, seq2seq, env=TALKS, td_lambda=0.6, vf_coef=0.7)
    log = [LoggedEpisode((), 1.5, 0, turns=turns) for turns in LOGGED_TALKS]
    made.rollout_buffer.fill(as_episodes(log, text_env(made.env).mdp))
    seen = watch_hidden(made.policy)
    made.train()
    assert_only_predictions_have_gradients(seen)
    ours, passed = flat_gradient(made), []
    for turns in LOGGED_TALKS:
        _, hidden, full = pass_over_turns(made.policy.lm, turns)
        passed.append((policy_tokens(turns), rewards_of_turns(turns, 1.5), hidden, full))
    expected = step_of(made, passed, 0.6)
    assert expected.abs().max() > 1e-2
    torch.testing.assert_close(ours, expected, atol=2e-5 * expected.abs().max().item(), rtol=1e-4)


@EITHER
def test_conversations_are_played_and_learned_from(algorithm):
    made = build(algorithm, env=TALKS, learning_rate=1e-3, prompts_per_rollout=8)
    made.learn(60)
    store = made.rollout_buffer
    assert sum(len(segment.inserted) for segment in store.segments()) > 0
    assert store.buffer_size == store.lengths.sum() > 8
    assert np.isfinite(made.logger.name_to_value["train/loss"])


def test_the_step_goes_down_the_squared_error():
    """With one token a completion, nothing to bootstrap: the gradient of (r - Q)^2 / 2, V's and beta log pi's."""
    completions = [completion for completion in COMPLETIONS if len(completion) == 1]
    made = build(SARSA, vf_coef=1.0)
    made.rollout_buffer.fill(episodes(completions))
    made.train()
    ours = made.policy.value_net.bias.grad.clone()
    batch, actions = batch_of(completions)
    tokens = made.policy.token_values(batch, actions)
    errors = torch.tensor([RETURNS[t] for t in completions]) - tokens.values - BETA * tokens.log_probs
    made.policy.zero_grad()
    (errors**2 / 2).mean().backward()
    torch.testing.assert_close(ours, made.policy.value_net.bias.grad)


# ---------------------------------------------------------------------- fixed points


def optimal(prefix=()):
    """{prefix: (4,) Q*(prefix, token)} by dynamic programming."""
    table, row = {}, []
    for token in range(4):
        completion = (*prefix, token)
        if token == END or len(completion) == HORIZON:
            row.append(RETURNS[completion])
        else:
            table |= optimal(completion)
            row.append(max(table[completion]))
    return {**table, prefix: row}


def under(policy_table, prefix=()):
    """{prefix: (4,) Q(prefix, token)} under probabilities {prefix: (4,)}."""
    table, row = {}, []
    for token in range(4):
        completion = (*prefix, token)
        if token == END or len(completion) == HORIZON:
            row.append(RETURNS[completion])
        else:
            table |= under(policy_table, completion)
            row.append(float(np.dot(policy_table[completion], table[completion])))
    return {**table, prefix: row}


PREFIXES = sorted(optimal(), key=lambda prefix: (len(prefix), prefix))


def tables(made):
    """{prefix: (4,)} the algorithm's Q and its policy's probabilities."""
    completions = [(*prefix, token) for prefix in PREFIXES for token in range(4)]
    batch, actions = batch_of(completions)
    ends = torch.as_tensor(np.cumsum([len(completion) for completion in completions]) - 1)
    with torch.no_grad():
        tokens = made.policy.token_values(batch, actions)
    log_prob = tokens.log_probs[ends].reshape(-1, 4)
    q = tokens.values[ends].reshape(-1, 4) + made.beta * log_prob
    return (
        {p: row.tolist() for p, row in zip(PREFIXES, q, strict=True)},
        {p: row.exp().double().numpy() for p, row in zip(PREFIXES, log_prob, strict=True)},
    )


def play_all(made, updates, completions=COMPLETIONS):
    """Updates from every completion there is, as often as any other: exploration that reaches everything."""
    torch.nn.init.zeros_(made.policy.value_net.weight)
    for _ in range(updates):
        made.rollout_buffer.fill(episodes(completions))
        made.train()


def test_q_learning_finds_the_optimal_values():
    """From all completions alike, off-policy and with one-step returns, every Q(s, a) comes near the optimal one."""
    made = build(QLearning, td_lambda=0.0, **TABLE_LIKE)
    before = distance(tables(made)[0], optimal())
    play_all(made, 1000)
    q, best = tables(made)[0], optimal()
    assert before > 1
    assert distance(q, best) < 0.25
    assert np.argmax(q[()]) == np.argmax(best[()])


def distance(one, other):
    """Root of the mean squared difference over all beginnings and tokens."""
    return float(np.sqrt(np.mean([np.subtract(one[p], other[p]) ** 2 for p in PREFIXES])))


def test_sarsa_finds_the_values_of_the_policy_that_it_becomes():
    """From completions of its own, Q comes near the exact values of its Boltzmann policy where that policy goes."""
    made = build(SARSA, td_lambda=0.5, **TABLE_LIKE)
    torch.nn.init.zeros_(made.policy.value_net.weight)
    rng = np.random.default_rng(0)
    start = tables(made)[1]
    for _ in range(400):
        with torch.no_grad():
            chances = torch.stack([lp.sum().exp() for lp in log_probs_at_once(made)]).double().numpy()
        drawn = rng.choice(len(COMPLETIONS), 64, p=chances / chances.sum())
        made.rollout_buffer.fill(episodes([COMPLETIONS[i] for i in drawn]))
        made.train()
    q, policy = tables(made)
    exact = under(policy)
    assert visited_distance(q, exact, policy) < 0.2
    assert np.dot(exact[()], policy[()]) > np.dot(under(start)[()], start[()]) + 0.5  # it also plays better


def log_probs_at_once(made):
    batch, actions = batch_of(COMPLETIONS)
    return made.policy.token_values(batch, actions).log_probs.split([len(completion) for completion in COMPLETIONS])


def visited_distance(one, other, policy, prefix=(), chance=1.0):
    """Mean difference, each beginning and token as often as the policy comes there."""
    total = 0.0
    for token in range(4):
        completion, p = (*prefix, token), chance * policy[prefix][token]
        total += p * abs(one[prefix][token] - other[prefix][token]) / HORIZON
        if completion in policy:
            total += visited_distance(one, other, policy, completion, p)
    return total


# ---------------------------------------------------------------------- with an environment


@pytest.mark.parametrize("form", ["causal", "seq2seq"])
@pytest.mark.parametrize("name", ["q_learning", "sarsa"])
def test_both_forms_of_model_play_learn_and_save(name, form, tmp_path):
    model = BUILTIN_TINY if form == "causal" else save_tiny_model(tmp_path / "t5", "t5")
    short = {"env_kwargs": {"max_new_tokens": 12}}
    how = {"exploration": "epsilon_greedy", "epsilon": 0.3} if name == "q_learning" else {"batch_size": 64}
    made = textgym_agents.make(name, "textgym/Copy-v0", model, **short, n_envs=8, prompts_per_rollout=12, seed=0, **how)
    before = [p.clone() for p in made.policy.lm.parameters()]
    made.learn(80)
    assert made.num_timesteps >= 80
    assert made.rollout_buffer.stats["kl_coef"] == 0.01
    assert any(not torch.equal(a, b) for a, b in zip(before, made.policy.lm.parameters(), strict=True))
    assert set(made.logger.name_to_value) >= {"train/td_loss", "train/q_value", "train/greedy_share"}
    made.save(tmp_path / "made.zip")
    again = textgym_agents.load(name, tmp_path / "made.zip")
    assert again.policy.exploration == how.get("exploration", "boltzmann")
    assert again.td_lambda == made.td_lambda
    plays = [evaluate(a, "textgym/Copy-v0", 4, deterministic=True, **short) for a in (made, again)]
    assert [s.token_ids for s in plays[0].samples] == [s.token_ids for s in plays[1].samples]


def test_traces_are_one_of_two():
    with pytest.raises(ConfigError, match=r"watkin'.*watkins"):
        build(QLearning, traces="watkin")


@EITHER
def test_wrong_arguments_are_refused(algorithm):
    for options, message in (
        ({"td_lambda": -0.1}, r"td_lambda is -0\.1"),
        ({"beta": 0.0}, r"beta is 0\.0"),
        ({"exploration": "epsilon"}, "epsilon_greedy"),
        ({"epsilon": 1.2}, r"epsilon is 1\.2"),
        ({"boltzmann_temperature": 0.0}, "boltzmann_temperature is"),
    ):
        with pytest.raises(ConfigError, match=message):
            build(algorithm, **options)
    with pytest.raises(ConfigError, match="QLearningPolicy"):
        algorithm(LanguageModelPolicy, make_env(2), policy_kwargs={"model": make_model()})


@pytest.mark.slow
@pytest.mark.learning
@pytest.mark.parametrize("name", ["q_learning", "sarsa"])
def test_some_seconds_of_training_turn_reviews_positive(name):
    """The built-in model writes happy and unhappy reviews alike: 0.53. 10,000 tokens bring 0.85 and more."""
    how = {"traces": "watkins"} if name == "q_learning" else {}
    made = textgym_agents.make(
        name, "textgym/SentimentContinuation-v0", learning_rate=4e-3, td_lambda=1.0, seed=0, **how
    )
    made.learn(10_000)
    assert evaluate(made, "textgym/SentimentContinuation-v0", 100).reward > 0.7
