"""The statistics of a benchmark: by hand, and against rliable."""

import itertools

import numpy as np
import pytest
from scipy import stats

from tests.agents.benchmark.made_lines import COPY, DATA, line, probe_suite, text_suite
from textgym.errors import ConfigError
from textgym_agents.benchmark.analysis import costs, fronts, measures, separation
from textgym_agents.benchmark.analysis.scores import score

# ---------------------------------------------------------------------------- against rliable


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    return {"x": rng.normal(0.5, 0.3, (6, 5)), "y": rng.normal(0.7, 0.3, (6, 5))}  # (tasks, runs)


def test_measures_are_those_of_rliable(drawn):
    rliable = pytest.importorskip("rliable.metrics")
    for ours in drawn.values():
        theirs = ours.T
        assert measures.mean(ours) == pytest.approx(rliable.aggregate_mean(theirs))
        assert measures.iqm(ours) == pytest.approx(rliable.aggregate_iqm(theirs))
        assert measures.optimality_gap(ours) == pytest.approx(rliable.aggregate_optimality_gap(theirs))
    ties = {name: np.round(values, 1) for name, values in drawn.items()}
    for mine, other in itertools.permutations([*drawn.values(), *ties.values()], 2):
        expected = rliable.probability_of_improvement(mine.T, other.T)
        assert measures.probability_of_improvement(mine, other) == pytest.approx(expected)


def test_profiles_and_intervals_are_those_of_rliable(drawn):
    pytest.importorskip("rliable")
    try:
        from rliable import library
    except TypeError:
        pytest.skip("arch, which rliable needs, doesn't go with this pandas: see the extra parity")
    thresholds = np.linspace(-0.5, 1.5, 9)
    profiles, _ = library.create_performance_profile({k: v.T for k, v in drawn.items()}, thresholds, reps=10)
    for name, values in drawn.items():
        assert measures.performance_profile(values, thresholds) == pytest.approx(profiles[name])
    x = drawn["x"]
    runs = [line("ppo", f"mine/{t}", seed, [x[t, seed]], before=[0.0]) for t in range(6) for seed in range(5)]
    ours = measures.estimate(0.0, measures.mean(score(runs, resamples=4000).drawn("ppo")))
    rounded = {"x": np.round(x, 3).T}
    _, theirs = library.get_interval_estimates(
        rounded, lambda scores: np.array([scores.mean()]), reps=4000, random_state=np.random.RandomState(0)
    )
    low, high = theirs["x"][:, 0]
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.01)


# ---------------------------------------------------------------------------- scores


def test_a_score_is_a_share_of_what_decoding_leaves():
    scores = score(text_suite({"ppo": 0.55, "bc": 0.4}))
    assert scores.kind == "headroom"
    headroom = scores.headroom[COPY]
    assert (headroom.baseline_name, headroom.ceiling_name) == ("greedy", "best_of_n[n=64]")
    assert headroom.baseline.value == pytest.approx(0.4, abs=2e-3)
    assert headroom.room.low > 0.2
    ppo = scores.cells[COPY, "ppo", "sampled"].score
    assert ppo.value == pytest.approx((0.55 - 0.4) / 0.3, abs=0.01)
    assert 0.2 < ppo.low < ppo.value < ppo.high
    assert scores.cells[COPY, "ppo", "greedy"].score.value == pytest.approx(0.2 / 0.3, abs=0.01)
    own = scores.cells[COPY, "greedy", "sampled"].score
    assert (own.low, own.value, own.high) == pytest.approx((0, 0, 0), abs=1e-9)
    top = scores.cells[COPY, "best_of_n[n=64]", "sampled"].score
    assert (top.low, top.high) == pytest.approx((1, 1), abs=1e-9)


def test_without_baselines_a_score_is_a_gain_paired_by_prompt():
    hard = np.linspace(0, 1, 50)
    runs = [line("ppo", COPY, seed, hard * 0.9 + 0.05, before=hard * 0.9) for seed in (0, 1)]
    scores = score(runs)
    gain = scores.cells[COPY, "ppo", "sampled"].score
    assert scores.kind == "gain"
    assert (gain.low, gain.value, gain.high) == pytest.approx((0.05, 0.05, 0.05), abs=1e-3)


def test_probes_have_scores_of_their_own():
    scores = score(probe_suite({COPY: {"ppo": 0.9, "bc": 0.1}, DATA: {"ppo": 0.5, "bc": 0.2}}))
    assert scores.kind == "probe"
    assert scores.point("ppo").tolist() == [[0.9, 0.91], [0.5, 0.51]]


def test_draws_depend_on_seed_and_names_only():
    runs = text_suite({"ppo": 0.55, "bc": 0.45})
    both = score(runs)
    alone = score([run for run in reversed(runs) if run["algo"] != "bc"])
    for key, cell in alone.cells.items():
        assert np.array_equal(np.sort(cell.drawn, axis=None), np.sort(both.cells[key].drawn, axis=None))
    assert not np.array_equal(score(runs, seed=1).drawn("ppo"), both.drawn("ppo"))


def test_runs_with_different_numbers_of_prompts_are_refused():
    with pytest.raises(ConfigError, match=r"evaluated on \[2, 3\] prompts"):
        score([line(seed=0), line(seed=1, sampled=(0.1, 0.2, 0.3))])


def test_failed_runs_and_missing_cells_are_left_out():
    runs = [*text_suite({"ppo": 0.55}), {"algo": "bc", "task": COPY, "seed": 0, "error": "ValueError: no"}]
    runs = [run for run in runs if (run["algo"], run["task"]) != ("ppo", DATA)]
    scores = score(runs)
    assert "bc" not in scores.algos
    assert "ppo" not in scores.complete()


# ---------------------------------------------------------------------------- separation


def test_holm_by_hand():
    assert separation.holm([0.04, 0.001, 0.02, 0.012]) == [True] * 4
    assert separation.holm([0.04, 0.001, 0.03, 0.012]) == [False, True, False, True]
    assert separation.holm([]) == []


def test_with_one_prompt_the_test_is_that_of_welch():
    a, b = [0.2, 0.25, 0.31, 0.22], [0.3, 0.38, 0.41]
    runs = [line("a", COPY, i, [x], before=[0.0]) for i, x in enumerate(a)]
    runs += [line("b", COPY, i, [x], before=[0.0]) for i, x in enumerate(b)]
    scores = score(runs)
    cells = [scores.cells[COPY, algo, "sampled"] for algo in "ab"]
    assert separation.p_value(*cells) == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue, rel=1e-6)


def test_wrong_separations_are_as_rare_as_they_say():
    """Two equal algorithms, seeds and prompts both random: at most 5 % are told apart, up to chance."""
    rng = np.random.default_rng(3)
    wrong = 0
    for trial in range(100):
        prompts = rng.normal(0, 0.3, 20)
        runs = []
        for algo in "ab":
            taste = rng.normal(0, 0.1, 20)  # what this algorithm does on a prompt, whatever its seed
            for seed in range(4):
                own = rng.normal(0, 0.05) + rng.normal(0, 0.1, 20)
                runs.append(line(algo, f"mine/{trial}", seed, prompts + taste + own, before=np.zeros(20)))
        scores = score(runs, resamples=2)
        wrong += separation.p_value(*(scores.cells[f"mine/{trial}", a, "sampled"] for a in "ab")) < 0.05
    assert wrong <= 11  # the 99 % quantile of a binomial with 100 trials and 5 %


def test_discrimination_of_a_benchmark():
    levels = {"ppo": 0.9, "bc": 0.6, "ars": 0.3}
    runs = probe_suite({COPY: levels, DATA: dict.fromkeys(levels, 0.5)}, seeds=4)
    copy, data, whole = separation.discrimination(score(runs))
    assert (copy.pairs, copy.separated, copy.tau) == (3, 1.0, 1.0)
    assert copy.verdict == "tells algorithms apart; seeds agree"
    assert (data.separated, data.tau) == (0.0, None)
    assert data.verdict == "separates nobody: change it or drop it"
    assert (whole.task, whole.separated, whole.tau) == (None, 0.5, 1.0)
    assert separation.separated_somewhere(score(runs)) == 1.0


def test_one_seed_separates_nobody():
    (row,) = separation.discrimination(score([line("a", seed=0), line("b", seed=0, sampled=(0.9, 0.95))]))
    assert (row.separated, row.tau) == (0.0, None)


# ---------------------------------------------------------------------------- fronts


def test_fronts_and_the_tempered_initial_model():
    by_task = fronts.fronts(text_suite({"ppo": 0.6}))
    first, second = by_task[COPY]
    assert (first.algo, second.algo) == ("ppo", fronts.TEMPERED)
    assert first.budget == pytest.approx(1.5)
    # A line from 0 to 0.3 at 1.5 nats.
    assert first.area.value == pytest.approx(0.15, abs=5e-3)
    assert second.area.value == pytest.approx((0.025 + 0.05 * 0.5) / 1.5, abs=5e-3)  # to +0.05 at 1 nat, then level


def test_a_front_is_what_mixtures_of_two_policies_reach():
    rng = np.random.default_rng(0)
    for _ in range(50):
        points = [(0.0, 0.2), *zip(rng.uniform(0, 6, 7).tolist(), rng.uniform(0, 1, 7).tolist(), strict=True)]
        budgets, best = np.linspace(0, 5, 2001), np.full(2001, -np.inf)
        for low in points:
            for high in points:
                if low[0] < high[0]:
                    share = np.clip((budgets - low[0]) / (high[0] - low[0]), 0, 1)
                    reached = np.where(budgets >= low[0], low[1] + share * (high[1] - low[1]), -np.inf)
                    best = np.maximum(best, reached)
        for kl, reward in points:
            best = np.maximum(best, np.where(budgets >= kl, reward, -np.inf))
        assert fronts.area(points, 5.0) == pytest.approx(np.trapezoid(best - 0.2, budgets) / 5, abs=2e-3)
        # Where in the training the evaluations were doesn't matter, as long as they lie on the way.
        between = [(kl / 2, (0.2 + reward) / 2) for kl, reward in points[1:]]
        assert fronts.area([*points, *between], 5.0) == pytest.approx(fronts.area(points, 5.0))


def test_a_gold_reward_that_turns_over_and_one_that_does_not():
    kl = np.linspace(0, 8, 11)
    d = np.sqrt(kl)
    rng = np.random.default_rng(0)
    found: dict[str, list[float | None]] = {"law": [], "rising": [], "flat": []}
    with np.errstate(divide="ignore", invalid="ignore"):
        law = np.where(d > 0, d * (0.6 - 0.5 * np.log(d)), 0.0)  # of Gao et al.; it peaks where d is exp(0.2)
    for _ in range(200):
        for name, curve in {"law": law, "rising": 0.1 * d, "flat": 0 * d}.items():
            found[name].append(fronts.turnover(kl, 0.2 + curve + rng.normal(0, 0.01, 11)).kl)
    assert all(one is not None and 0.5 < one < 3 for one in found["law"])
    assert sum(one is not None for one in found["rising"]) == 0
    assert sum(one is not None for one in found["flat"]) < 20


def test_overoptimization_by_seed():
    points = [{"timesteps": i, "kl": i, "reward": i / 8, "gold": 0.2 * (4 - abs(i - 4))} for i in range(1, 9)]
    rising = [{**point, "gold": point["kl"] ** 0.5} for point in points]
    before = {"summary": {"reward": 0.0, "gold": 0.0}, "per_prompt": {"reward": [0.0, 0.0]}}
    runs = [line("ppo", seed=0, front=points), line("ppo", seed=1, front=rising)]
    for run in runs:
        run["evaluations"]["before"] = before
    (found,) = fronts.overoptimization(runs)
    assert (found.turned, len(found.kl)) == (0.5, 1)
    assert 2 < found.kl[0] < 6
    assert found.runs[0][0] == (0.0, 0.0, 0.0)


# ---------------------------------------------------------------------------- costs


def test_tokens_to_a_threshold():
    runs = text_suite({"ppo": 0.55, "bc": 0.35})
    for run in runs:
        if run["curve"]["timesteps"]:
            final = 0.55 if run["algo"] == "ppo" else 0.35
            run["curve"] = {"timesteps": list(range(100, 1100, 100)), "reward": list(np.linspace(0.3, final, 10))}
    rows = {(row.algo, row.task): row for row in costs.learning(runs, score(runs))}
    assert rows["ppo", COPY].goal == pytest.approx(0.4, abs=2e-3)
    assert rows["ppo", COPY].passed == 1
    assert rows["ppo", COPY].tokens == 700  # the mean of five points to there is 0.3 + 0.25 * 4 / 9
    assert (rows["bc", COPY].passed, rows["bc", COPY].tokens) == (0, None)


def test_best_of_n_is_charged_at_test_time():
    runs = text_suite({"ppo": 0.55, "grpo": 0.6})
    for run in runs:
        if run["algo"] == "grpo":
            run["costs"]["forward_tokens"] = 8000
    rows = {row.algo: row for row in costs.at_equal_cost(runs, score(runs)) if row.task == COPY}
    assert (rows["ppo"].budget, rows["grpo"].cost) == (4000, 8000)
    assert rows["ppo"].reward == pytest.approx(np.mean([0.3, 0.55]), abs=0.01)  # the curve's last points, smoothed
    assert rows["grpo"].reward < 0.55
    # 8000 forward tokens over 1000 completions of 10 tokens: 0.8 completions more each.
    n, reward = rows["grpo"].best_of[1000]
    assert n == pytest.approx(1.8)
    assert reward == pytest.approx(0.3 + 0.2 * np.log(1.8) / np.log(4), abs=5e-3)
