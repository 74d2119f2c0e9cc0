"""Lines of results.jsonl that nobody ran: rewards are drawn around a level for each algorithm and task."""

import numpy as np

COPY, DATA = "textgym/Copy-v1", "textgym/DataToText-v0"
PROMPTS = 40


def evaluation(rewards, **metrics):
    """What a line has of one way to decode."""
    rewards = [round(float(reward), 3) for reward in rewards]
    rows = {name: {"kind": "mean", "rows": [value] * len(rewards)} for name, value in metrics.items()}
    return {
        "summary": {"reward": round(float(np.mean(rewards)), 6), **metrics},
        "per_prompt": {"reward": rewards, **rows},
    }


def line(algo="ppo", task=COPY, seed=0, sampled=(0.3, 0.5), greedy=None, before=(0.2, 0.4), **more):
    """A line with these rewards of held-out prompts."""
    trained = not algo.startswith(("zero_shot", "greedy", "best_of_n", "random"))
    greedy = sampled if greedy is None else greedy
    tokens = 1000 if trained else 0
    curve = {"timesteps": [500, 1000], "reward": [float(np.mean(before)), float(np.mean(sampled))]} if trained else None
    made = {
        "algo": algo,
        "task": task,
        "seed": seed,
        "model": "textgym/tiny",
        "timesteps": tokens,
        "eval_prompts": len(sampled),
        "evaluations": {
            "before": evaluation(before),
            "sampled": evaluation(sampled),
            "greedy": evaluation(greedy),
        },
        "score": None,
        "score_greedy": None,
        "front": [],
        "curve": curve or {"timesteps": [], "reward": []},
        "kl": 0.5 if trained else None,
        "samples": [{"prompt": "Say | <it>:", "reference": "so ```it```", "before": "a\nb", "after": f"{algo} says"}],
        "costs": {
            "tokens_written": tokens,
            "tokens_learned": tokens,
            "forward_tokens": 4 * tokens,
            "seconds": 1.0 + seed,
            "peak_memory_mb": 300.0,
            "tokens_per_completion": 10.0 * (64 if "n=64" in algo else 1),
        },
        "versions": {"python": "3"},
        "model_hash": "0" * 16,
        "config_hash": "1" * 16,
        "command": "textgym benchmark --suite text --algos all --seeds 2",
        "error": None,
    }
    return {**made, **more}


def rewards_around(level, task, name, prompts=PROMPTS, noise=0.1):
    """Rewards that agree between algorithms on which prompts are easy."""
    easy = np.random.default_rng(sum(map(ord, task))).normal(0, 0.05, prompts)
    own = np.random.default_rng(sum(map(ord, f"{task} {name}"))).normal(0, noise, prompts)
    rewards = np.clip(level + easy + own, 0, 1)
    return np.clip(rewards + level - rewards.mean(), 0, 1)


def text_suite(levels, tasks=(COPY, DATA), seeds=2, jitter=0.01):
    """Lines of a text suite: ``levels`` are mean sampled rewards by algorithm; the initial model has 0.3."""
    decoding = {"zero_shot": 0.3, "zero_shot[temperature=0.5]": 0.35, "greedy": 0.4}
    picking = {"best_of_n[n=4]": 0.5, "best_of_n[n=64]": 0.7}
    made = []
    for task in tasks:
        for algo, level in {**decoding, **picking, **levels}.items():
            for seed in range(seeds):
                name = f"{algo} {seed}"
                moved = level + jitter * (seed - (seeds - 1) / 2)
                kl = {"zero_shot": 0.0, "zero_shot[temperature=0.5]": 1.0}.get(algo, 0.5)
                more = {"kl": kl}
                if algo in levels:
                    steps = range(1, 6)
                    more["front"] = [
                        {"timesteps": 200 * i, "kl": 0.3 * i, "reward": 0.3 + (moved - 0.3) * i / 5} for i in steps
                    ]
                made.append(
                    line(
                        algo,
                        task,
                        seed,
                        sampled=rewards_around(moved, task, name),
                        greedy=rewards_around(min(moved + 0.05, 1), task, f"{name} greedy"),
                        before=rewards_around(0.3, task, f"before {seed}"),
                        **more,
                    )
                )
    return made


def probe_suite(scores, seeds=2):
    """Lines of a probe suite: ``scores`` by task, then algorithm."""
    made = []
    for task, by_algo in scores.items():
        for algo, level in by_algo.items():
            for seed in range(seeds):
                score = min(max(level + 0.01 * seed, 0.0), 1.0)
                rewards = [score] * PROMPTS
                made.append(line(algo, task, seed, rewards, before=[0.0] * PROMPTS, score=score, score_greedy=score))
    return made
