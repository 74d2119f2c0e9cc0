"""Rewards of completions: the built-in ones in [0, 1], all over batches, all with arithmetic.

``0.7 * BLEU() + 0.3 * ROUGE("L")`` is a reward, and so is any function that ``@reward`` decorates. A reward of the
package is a file here, with its import and its row in ``REWARDS``; one from elsewhere is a call of ``register_reward``.
"""

from functools import partial

from textgym.rewards.answer import Answer, AnswerFormat
from textgym.rewards.base import BatchReward, GroupReward
from textgym.rewards.bertscore import BERTScore
from textgym.rewards.bleu import BLEU
from textgym.rewards.bounds import Clip, Gate, Max, Min
from textgym.rewards.chrf import ChrF
from textgym.rewards.cider import CIDEr
from textgym.rewards.classifier import ClassifierReward
from textgym.rewards.code_tests import CodeTests
from textgym.rewards.combine import Product, WeightedSum
from textgym.rewards.confidence import Brier
from textgym.rewards.distinct import Distinct
from textgym.rewards.embedding import EmbeddingSimilarity
from textgym.rewards.evaluate_reward import EvaluateReward
from textgym.rewards.events import Events
from textgym.rewards.exact_match import ExactMatch
from textgym.rewards.faithfulness import Faithfulness
from textgym.rewards.fallback import Fallback
from textgym.rewards.fluency import Fluency
from textgym.rewards.functions import CallableReward, FunctionReward, as_reward, group_reward, reward
from textgym.rewards.gleu import GLEU
from textgym.rewards.json_text import JSON
from textgym.rewards.judge import LLMJudge
from textgym.rewards.keywords import ConceptCoverage, KeywordCoverage
from textgym.rewards.length import Length
from textgym.rewards.meteor import METEOR
from textgym.rewards.no_repeats import NoRepeats
from textgym.rewards.novelty import Novelty
from textgym.rewards.parent import PARENT
from textgym.rewards.parse import parse_reward
from textgym.rewards.pattern import Pattern
from textgym.rewards.program_tests import ProgramTests
from textgym.rewards.refusal import Refusal
from textgym.rewards.registry import REWARDS, register_reward
from textgym.rewards.requirements import Requirements
from textgym.rewards.rouge import ROUGE
from textgym.rewards.self_bleu import SelfBLEU
from textgym.rewards.sentiment import Sentiment
from textgym.rewards.ter import TER
from textgym.rewards.token_f1 import TokenF1
from textgym.rewards.verse import Meter, Rhyme
from textgym.rewards.verse_phrases import VersePhrases

REWARDS.update(
    {
        "bleu": BLEU,
        "rouge1": partial(ROUGE, "1"),
        "rouge2": partial(ROUGE, "2"),
        "rougeL": partial(ROUGE, "L"),
        "rougeLsum": partial(ROUGE, "Lsum"),
        "chrf": ChrF,
        "gleu": GLEU,
        "ter": TER,
        "meteor": METEOR,
        "cider": CIDEr,  # which needs the prompts of training: in Python only
        "parent": PARENT,
        "faithfulness": Faithfulness,
        "sentiment": Sentiment,
        "length": Length,
        "coverage": KeywordCoverage,
        "concepts": ConceptCoverage,
        "events": Events,
        "exact_match": ExactMatch,
        "token_f1": partial(TokenF1, "f1"),
        "token_precision": partial(TokenF1, "precision"),
        "token_recall": partial(TokenF1, "recall"),
        "brier": Brier,
        "answer": Answer,
        "answer_format": AnswerFormat,
        "no_repeats": NoRepeats,
        "distinct1": partial(Distinct, 1),
        "distinct2": partial(Distinct, 2),
        "json": JSON,
        "pattern": Pattern,
        "requirements": Requirements,  # which needs prompts with a rule
        "refusal": Refusal,  # which needs prompts of a kind
        "rhyme": Rhyme,
        "meter": Meter,
        "verse_phrases": VersePhrases,
        "code_tests": CodeTests,  # which refuses without run_code=true
        "program_tests": ProgramTests,  # which needs prompts with tests
        "fluency": Fluency,
        "self_bleu": SelfBLEU,  # which compares the completions of a prompt, as the next one does
        "novelty": Novelty,
        "classifier": ClassifierReward,  # which needs a model, as the next one does
        "embedding": EmbeddingSimilarity,
        "bertscore": BERTScore,
        "judge": LLMJudge,  # which needs criteria and a backend: in Python only
    }
)

__all__ = [
    "BERTScore",
    "BLEU",
    "GLEU",
    "JSON",
    "METEOR",
    "PARENT",
    "REWARDS",
    "ROUGE",
    "Answer",
    "AnswerFormat",
    "TER",
    "BatchReward",
    "Brier",
    "CIDEr",
    "CallableReward",
    "ChrF",
    "ClassifierReward",
    "Clip",
    "CodeTests",
    "ConceptCoverage",
    "Distinct",
    "EmbeddingSimilarity",
    "EvaluateReward",
    "Events",
    "ExactMatch",
    "Faithfulness",
    "Fallback",
    "Fluency",
    "FunctionReward",
    "Gate",
    "GroupReward",
    "KeywordCoverage",
    "LLMJudge",
    "Length",
    "Max",
    "Meter",
    "Min",
    "NoRepeats",
    "Novelty",
    "Pattern",
    "Product",
    "ProgramTests",
    "Refusal",
    "Requirements",
    "Rhyme",
    "SelfBLEU",
    "Sentiment",
    "TokenF1",
    "VersePhrases",
    "WeightedSum",
    "as_reward",
    "group_reward",
    "parse_reward",
    "register_reward",
    "reward",
]
