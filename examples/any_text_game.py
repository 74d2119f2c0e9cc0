"""Any game of texts, token by token: those of TextArena, the domains of tau2-bench, a gymnasium.Env of your own.

Needs textarena (pip install textarena). The default takes seconds, and learns nothing to speak of. In earnest:

python examples/any_text_game.py --timesteps 40000
python examples/any_text_game.py --game FrozenLake-v0 --words "up down left right" --timesteps 40000
python examples/any_text_game.py --game TicTacToe-v0 --words "0 1 2 3 4 5 6 7 8" --against-random --timesteps 40000
python examples/any_text_game.py --tau2 mock --model HuggingFaceTB/SmolLM2-135M-Instruct --max-prompt-tokens 768
"""

import argparse
import random
import re
from functools import partial

import textgym_agents
from textgym import TextGenerationVectorEnv
from textgym.partners import GymPartner, Tau2Game, TextArenaGame
from textgym.tokenizer import load_tokenizer
from textgym_agents import TextVecEnv
from textgym_agents.evaluation import evaluate


def any_legal(shown: str) -> str:
    """An opponent: one of the moves in brackets that the game shows last."""
    moves = re.findall(r"\[\w+\]", shown.rpartition("Moves")[2])
    return random.choice(moves or ["[0]"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--game", default="GuessTheNumber-v0", help="an id of TextArena's")
    parser.add_argument("--against-random", action="store_true", help="a game of two, with a random opponent")
    parser.add_argument("--tau2", metavar="DOMAIN", help="a domain of tau2-bench in place of the game")
    parser.add_argument("--words", default=" ".join(map(str, range(1, 21))), help="legal words; '': any text")
    parser.add_argument("--model", default="textgym/tiny", help="a language model: a name or a folder")
    parser.add_argument("--algo", default="rloo")
    parser.add_argument("--max-turns", type=int, default=10)
    parser.add_argument("--max-prompt-tokens", type=int, default=288)
    parser.add_argument("--max-new-tokens", type=int, default=216, help="of both sides, in all turns together")
    parser.add_argument("--timesteps", type=int, default=256, help="tokens to train on")
    parser.add_argument("--num-games", type=int, default=8, help="games to evaluate on, with seeds of their own")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    opponent = any_legal if arguments.against_random else None
    game = partial(Tau2Game, arguments.tau2) if arguments.tau2 else partial(TextArenaGame, arguments.game, opponent)
    partner = GymPartner(game)  # restored by playing the turns again, so it pickles, resumes and forks

    options = {}
    if arguments.words and not arguments.tau2:
        tokenizer = load_tokenizer(arguments.model)
        encoded = [tokenizer.encode(f" {word}", add_special_tokens=False) for word in arguments.words.split()]
        legal = sorted({token for ids in encoded for token in ids})
        options = {"allowed_tokens": [*legal, tokenizer.eos_token_id], "max_turn_tokens": max(map(len, encoded)) + 1}

    def made(first_seed: int, count: int, rows: int) -> TextVecEnv:
        env = TextGenerationVectorEnv(
            rows,
            partner.prompts(count, first_seed),
            partner=partner,
            tokenizer=arguments.model,
            turn_template=("\n", "\n>"),
            max_turns=arguments.max_turns,
            max_prompt_tokens=arguments.max_prompt_tokens,
            max_new_tokens=arguments.max_new_tokens,
            sampling="sequential",
            autoreset_mode="SameStep",
            **options,
        )
        return TextVecEnv(env)

    algorithm = textgym_agents.make(arguments.algo, made(0, 256, 16), arguments.model, seed=arguments.seed)
    held_out = made(1000, arguments.num_games, 8)
    before = evaluate(algorithm, held_out, arguments.num_games)
    algorithm.learn(arguments.timesteps)
    after = evaluate(algorithm, held_out, arguments.num_games)

    print(after.samples[0].prompt)
    for turn in after.samples[0].turns:
        print(f"{'>' if turn.speaker == 'policy' else ' '} {turn.text.strip()}")
    print(
        f"mean return of {arguments.num_games} games: {before.reward:.3f} before, {after.reward:.3f} after "
        f"{algorithm.num_timesteps:,} tokens"
    )


if __name__ == "__main__":
    main()
