"""Twenty questions: a policy learns to ask, and to guess in time. A dialogue before training and one after.

The default takes seconds, and learns nothing to speak of. In earnest, in some minutes:

python examples/twenty_questions.py --timesteps 60000
python examples/twenty_questions.py --env textgym/Wordle3-v0 --algo ppo --timesteps 60000
"""

import argparse

import textgym_agents
from textgym_agents.evaluation import evaluate


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--env", default="textgym/TwentyQuestions-v0", help="an environment of several turns")
    parser.add_argument("--algo", default="rloo")
    parser.add_argument("--timesteps", type=int, default=256, help="tokens to train on")
    parser.add_argument("--num-prompts", type=int, default=8, help="held-out prompts")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    algorithm = textgym_agents.make(arguments.algo, arguments.env, seed=arguments.seed)
    how = {"split": "validation", "deterministic": False}
    before = evaluate(algorithm, arguments.env, arguments.num_prompts, **how)
    algorithm.learn(arguments.timesteps)
    after = evaluate(algorithm, arguments.env, arguments.num_prompts, **how)

    for when, result in (("before", before), ("after", after)):
        sample = result.samples[0]
        print(f"{when} training:\n{sample.prompt}")
        for turn in sample.turns:
            who = "  policy: " if turn.speaker == "policy" else "  partner:"
            print(f"{who} {turn.text.strip()}" + (f"  ({turn.reward:+.2f})" if turn.reward else ""))
    task = algorithm.get_env().get_attr("task")[0]
    print(f"random utterances {task.random_reward():.3f}, the best policy {task.best_reward():.3f}")
    print(
        f"mean return on {arguments.num_prompts} held-out prompts: {before.reward:.3f} before, {after.reward:.3f} after"
        f" {algorithm.num_timesteps:,} tokens"
    )


if __name__ == "__main__":
    main()
