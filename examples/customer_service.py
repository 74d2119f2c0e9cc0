"""A clerk learns to serve customers. What counts is the sale's record, not how the clerk talks.

A customer hides a wish; the clerk asks for its parts, looks things up by a tool, and sells. The default takes seconds,
and learns nothing to speak of. In earnest, in some minutes:

python examples/customer_service.py --timesteps 60000

With the customers of a dataset of dialogues, such as Schema-Guided Dialogue, and a model of ordinary English:

python examples/customer_service.py --dataset dialogues/ --model HuggingFaceTB/SmolLM2-135M-Instruct --timesteps 60000
"""

import argparse

import textgym
import textgym_agents
from textgym.tasks.conversations import CustomerService
from textgym_agents.evaluation import evaluate


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset", help="goals of customers: see textgym.tasks.conversations.CustomerService")
    parser.add_argument("--model", default="textgym/tiny", help="a language model: a name or a folder")
    parser.add_argument("--algo", default="rloo")
    parser.add_argument("--timesteps", type=int, default=256, help="tokens to train on")
    parser.add_argument("--num-prompts", type=int, default=8, help="held-out customers")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    env_id, held_out = "textgym/Shop-v0", "validation"
    if arguments.dataset:
        env_id, held_out = "examples/CustomerService-v0", "test"
        textgym.register(env_id, CustomerService, None, dataset=arguments.dataset)
    algorithm = textgym_agents.make(arguments.algo, env_id, arguments.model, seed=arguments.seed)
    before = evaluate(algorithm, env_id, arguments.num_prompts, split=held_out)
    algorithm.learn(arguments.timesteps)
    after = evaluate(algorithm, env_id, arguments.num_prompts, split=held_out)

    for when, result in (("before", before), ("after", after)):
        sample = result.samples[0]
        print(f"{when} training, {sample.finish_reason}:\n{sample.prompt}")
        for turn in sample.turns:
            paid = f"  ({turn.reward:+.2f})" if turn.reward else ""
            print(f"  {'clerk' if turn.speaker == 'policy' else 'shop'}: {turn.text.strip()}{paid}")
    if not arguments.dataset:
        shop = algorithm.get_env().get_attr("task")[0]
        known = f"{shop.random_reward():.3f}, the best {shop.best_reward():.3f}"
        print(f"a clerk who says what makes sense, at random {known}")
    print(
        f"mean return with {arguments.num_prompts} customers: {before.reward:.3f} before, {after.reward:.3f} after "
        f"{algorithm.num_timesteps:,} tokens"
    )


if __name__ == "__main__":
    main()
