"""python -m docs.generator.picture: draws docs/images/episode.png, an episode token by token."""

from pathlib import Path
from typing import Any

import gymnasium as gym

import textgym  # noqa: F401  the environments' ids

OUT = Path(__file__).parents[1] / "images" / "episode.png"
COMPLETION = " Felix Wood sells an old chair for 81 coins."
INK, BLUE, ORANGE, GRAY = "#222222", "#0072B2", "#D55E00", "#666666"


def main() -> None:
    """Play the README's episode and draw it."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import FancyBboxPatch

    env = gym.make("textgym/DataToText-v0")
    _, start = env.reset(seed=0)
    text_env: Any = env.unwrapped
    tokens, rewards = text_env.encode_completion(COMPLETION), []
    for token in tokens:
        _, reward, *_, info = env.step(token)
        rewards.append(float(reward))
    names = [text_env.tokenizer.decode([int(token)]).strip() for token in tokens]
    names[-1] = "<end>"

    figure, axes = plt.subplots(figsize=(11, 3.1), dpi=140)
    axes.set(xlim=(0, 11), ylim=(0.2, 3.1))
    axes.axis("off")

    def box(x: float, y: float, width: float, text: str, color: str, **style: Any) -> None:
        shape = FancyBboxPatch((x, y), width, 0.5, boxstyle="round,pad=0.02,rounding_size=0.08", fc="white", ec=color)
        axes.add_patch(shape)
        axes.text(x + width / 2, y + 0.25, text, ha="center", va="center", color=INK, **style)

    prompt = start["prompt"].replace("\n", "  ")
    axes.text(0.1, 2.85, "reset(): the prompt", color=GRAY, va="center", fontsize=10)
    box(0.1, 2.15, 10.8, prompt, BLUE, fontsize=8.6, family="monospace")
    axes.text(
        0.1, 1.85, "step(token): any algorithm chooses, one token at a time", color=GRAY, va="center", fontsize=10
    )
    widths = [0.3 + 0.105 * len(name) for name in names]
    gap = (10.8 - sum(widths)) / (len(names) - 1)
    x = 0.1
    for name, width, reward in zip(names, widths, rewards, strict=True):
        last = reward != 0
        box(x, 1.15, width, name, ORANGE if last else BLUE, fontsize=9, family="monospace")
        shown = f"{reward:.3f}" if last else "0"
        axes.text(x + width / 2, 0.85, shown, ha="center", color=ORANGE if last else GRAY, fontsize=10, weight="bold")
        x += width + gap
    axes.text(0.1, 0.4, "reward at the end: BLEU against", color=GRAY, va="center", fontsize=10)
    axes.text(3.1, 0.4, info["references"][0], color=INK, va="center", fontsize=9, family="monospace")
    figure.savefig(OUT, bbox_inches="tight", pad_inches=0.05)


if __name__ == "__main__":
    main()
