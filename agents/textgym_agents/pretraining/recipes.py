"""The recipes of the built-in models: all that decides what ``pretrain`` makes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from textgym.errors import ConfigError
from textgym.tokenizer import BUILTIN_MEDIUM, BUILTIN_MEDIUM_SEQ2SEQ, BUILTIN_MODEL, BUILTIN_SEQ2SEQ, BUILTIN_TINY
from textgym_agents.pretraining.lessons import FIRST_SHARES, OTHERS, SKILLS


@dataclass(frozen=True)
class Recipe:
    """All that decides the result. The defaults make ``textgym/small``.

    Attributes:
        kind: "causal" is a GPT-2, "seq2seq" a T5 (https://arxiv.org/abs/1910.10683) with gated feed-forward layers.
        steps: gradient steps.
        batch_tokens: tokens per step, padding included.
        tasks_per_step: so many tasks share them, drawn anew for each step.
        optimizer: "adamw", or "muon" for the matrices of the layers (Jordan et al. 2024,
            https://kellerjordan.github.io/posts/muon/, scaled as in Liu et al. 2025, https://arxiv.org/abs/2502.16982)
            and AdamW for the rest.
        learning_rate: peak of a linear warm-up and a cosine decay to a tenth.
        prompt_weight: weight of the loss on the tokens of prompts, and of replies in dialogues; that on completion
            tokens has weight 1. For "seq2seq" it is 0, since a T5 predicts no prompt tokens.
        seed: of data, weights and order.
        tokenizer: the built-in model whose tokenizer to use; None trains a new one.
        vocabulary: number of tokens of a new tokenizer.
        hidden_size, heads: width of the model, and attention heads of each layer.
        layers: of a GPT-2, or of each half of a T5.
        positions: tokens that a GPT-2 can read, or more where a tokenizer of few tokens makes the tasks longer; a T5's
            positions are relative and have no limit.
        weights: of the tasks and conversations to teach, see :func:`textgym_agents.pretraining.lessons.shares`. None:
            all there are, alike.
        skills: of the players in dialogues, see :func:`textgym_agents.pretraining.lessons.lessons`.
        variants: teach the variants in a task's ``taught`` too, not the task as it is by default alone.
        then: for each further phase the attributes in which it differs from the first. It goes on with the model, new
            texts and new optimizers.
    """

    kind: str = "causal"
    steps: int = 2700
    batch_tokens: int = 2048
    tasks_per_step: int = 1
    optimizer: str = "adamw"
    learning_rate: float = 3e-3
    prompt_weight: float = 0.5
    seed: int = 0
    tokenizer: str | None = None
    vocabulary: int = 2048
    hidden_size: int = 128
    layers: int = 4
    heads: int = 4
    positions: int = 512
    weights: dict[str, float] | None = field(default_factory=lambda: dict(FIRST_SHARES))
    skills: tuple[float, ...] = SKILLS
    variants: bool = False
    then: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("causal", "seq2seq"):
            raise ConfigError(f"kind is {self.kind!r}, expected 'causal' or 'seq2seq'.")
        if self.optimizer not in ("adamw", "muon"):
            raise ConfigError(f"optimizer is {self.optimizer!r}, expected 'adamw' or 'muon'.")
        if not 1 <= self.tasks_per_step <= self.batch_tokens:
            raise ConfigError(f"tasks_per_step is {self.tasks_per_step}, expected 1 to {self.batch_tokens}.")
        if self.kind == "seq2seq" and self.prompt_weight:
            raise ConfigError(f"prompt_weight is {self.prompt_weight:g}, expected 0: a T5 predicts no prompt tokens.")


RECIPES = {
    BUILTIN_MODEL: Recipe(),
    BUILTIN_TINY: Recipe(steps=6000, learning_rate=5e-3, vocabulary=512, hidden_size=64, layers=2),
    BUILTIN_SEQ2SEQ: Recipe(
        kind="seq2seq",
        steps=8000,
        batch_tokens=1024,
        learning_rate=2e-3,
        prompt_weight=0.0,
        tokenizer=BUILTIN_MODEL,
        layers=3,
    ),
    BUILTIN_MEDIUM: Recipe(
        steps=4000,
        tasks_per_step=4,
        optimizer="muon",
        prompt_weight=0.25,
        vocabulary=4096,
        hidden_size=160,
        heads=5,
        weights={"Translation": 3, "Copy": 1.5, "Verse": 2, "TwentyQuestions": 5, "Shop": 5, OTHERS: 1},
        variants=True,
        then=(
            {  # what was still hard for it, and dialogues of better players
                "steps": 2400,
                "learning_rate": 2e-3,
                "weights": {
                    **{"TwentyQuestions": 12, "Shop": 12, "Translation": 8, "ProgramInduction": 4, "Arithmetic": 3},
                    **{"DialogueReply": 2, "Alignment": 2, "Verse": 2, "QuestionAnswering": 2, OTHERS: 1},
                },
                "skills": (0.5, 1.0),
            },
            {  # dialogues of the best players: a shop's records are compared with a wish after thousands of them
                "steps": 2000,
                "learning_rate": 2e-3,
                "weights": {
                    **{"Shop": 12, "TwentyQuestions": 6, "Translation": 3, "ProgramInduction": 1.5, "Arithmetic": 1.5},
                    OTHERS: 0.75,
                },
                "skills": (1.0,),
            },
            {  # what the dialogues have pushed back
                "steps": 500,
                "learning_rate": 1e-3,
                "weights": {
                    **{"Verse": 5, "Alignment": 5, "Shop": 4, "TwentyQuestions": 4, "Translation": 3},
                    **{"QuestionAnswering": 2, "DialogueReply": 2, OTHERS: 0.75},
                },
                "skills": (1.0,),
            },
        ),
    ),
    BUILTIN_MEDIUM_SEQ2SEQ: Recipe(
        kind="seq2seq",
        steps=5000,
        tasks_per_step=4,
        optimizer="muon",
        prompt_weight=0.0,
        tokenizer=BUILTIN_MEDIUM,
        hidden_size=160,
        layers=3,
        heads=5,
        weights={"Translation": 3, "Copy": 1.5, "Verse": 2, "TwentyQuestions": 2, "Shop": 2, OTHERS: 1},
        variants=True,
        then=(
            {
                "steps": 2800,
                "learning_rate": 2e-3,
                "weights": {
                    **{"Translation": 8, "ProgramInduction": 4, "Arithmetic": 3, "TwentyQuestions": 4, "Shop": 4},
                    **{"DialogueReply": 2, "Alignment": 2, "Verse": 2, "QuestionAnswering": 2, OTHERS: 1},
                },
                "skills": (0.5, 1.0),
            },
            {
                "steps": 1400,
                "learning_rate": 1e-3,
                "weights": {
                    **{"Translation": 4, "Verse": 4, "Alignment": 3, "TwentyQuestions": 4, "Shop": 4},
                    **{"QuestionAnswering": 2, "DialogueReply": 2, OTHERS: 1},
                },
                "skills": (1.0,),
            },
        ),
    ),
}
