"""A language model as judge: criteria in your own words, a score, a reward.

``llm_judge`` is the reward. What it asks is in ``rubric``, ``presets`` and ``rubric_file``, how in ``prompt``, with the
judged text made harmless by ``text``; ``reading`` finds the verdict in a reply. ``asking`` asks each question once,
``cache`` keeps verdicts in a file, and ``audit`` is a log that proves rewards. Who is asked is in ``backends``, with
what is spent in ``backends.account``; ``costs`` says so before. ``pairwise`` and ``ranking`` are rewards by comparing
texts, ``panel`` is one by several judges.
"""

from textgym.rewards.judge.audit import Audit, AuditLog, recompute
from textgym.rewards.judge.backends.account import Account, Prices, Usage
from textgym.rewards.judge.backends.base import Verdict
from textgym.rewards.judge.backends.local import LocalBackend
from textgym.rewards.judge.backends.openai import OpenAIBackend
from textgym.rewards.judge.cache import VerdictCache
from textgym.rewards.judge.costs import Estimate, estimate
from textgym.rewards.judge.llm_judge import LLMJudge
from textgym.rewards.judge.pairwise import PairwiseJudge
from textgym.rewards.judge.panel import JudgeReward
from textgym.rewards.judge.presets import preset_rubric
from textgym.rewards.judge.prompt import Chat
from textgym.rewards.judge.ranking import RankingJudge
from textgym.rewards.judge.rubric import Criterion, Rubric
from textgym.rewards.judge.rubric_file import load_rubric, parse_rubric

__all__ = [
    "Account",
    "Audit",
    "AuditLog",
    "Chat",
    "Criterion",
    "Estimate",
    "JudgeReward",
    "LLMJudge",
    "LocalBackend",
    "OpenAIBackend",
    "PairwiseJudge",
    "Prices",
    "RankingJudge",
    "Rubric",
    "Usage",
    "Verdict",
    "VerdictCache",
    "estimate",
    "load_rubric",
    "parse_rubric",
    "preset_rubric",
    "recompute",
]
