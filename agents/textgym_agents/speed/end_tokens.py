"""Completions that end at different times, whatever the model.

So many tokens count as end tokens that completions have the mean length asked for. No token is masked for it, so no
entry pays for a mask, and the weights need not have learned to end.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq

from textgym_agents.speed.models import MADE, Subject, prompts

SAMPLE = 16  # completions, and tokens of each, from which the token probabilities of a real model are estimated


def end_share(mean: float, most: int) -> float:
    """The probability of an end token at which completions of at most ``most`` tokens have ``mean`` on average.

    >>> round(end_share(25, 64), 4)
    0.0362
    """
    share: float = brentq(lambda share: (1 - (1 - share) ** most) / share - mean, 1e-9, 1.0)
    return share


def end_tokens(one: Subject, mean: float | None, most: int) -> tuple[int, ...]:
    """The tokens that end a completion besides the tokenizer's own; none where ``mean`` is None.

    Random weights give all tokens about the same probability, so their number decides. Of a real model, tokens are
    drawn until they have the probability that is needed, on average over completions of its own.

    >>> from textgym_agents.speed.models import subject
    >>> len(end_tokens(subject("gpt2"), 25, 64))
    180
    """
    if mean is None:
        return ()
    share = end_share(mean, most)
    if one.name in MADE:
        return tuple(range(2, 1 + round(one.vocabulary * share)))
    probabilities, chosen = token_probabilities(one), []
    for token in np.random.default_rng(0).permutation(one.vocabulary).tolist():
        if token != one.tokenizer.eos_token_id and probabilities[token] <= share:
            share -= probabilities[token]
            chosen.append(token)
    return tuple(sorted(chosen))


@torch.no_grad()
def token_probabilities(one: Subject) -> NDArray[np.float64]:
    """(vocabulary,) the mean probability of each token in completions that the model samples."""
    model: Any = one.copy()
    encoded = [one.tokenizer.encode(prompt.text)[:SAMPLE] for prompt in prompts(one.vocabulary, SAMPLE, SAMPLE)]
    ids = torch.tensor(encoded, device=model.device)
    how: dict[str, Any] = {"max_new_tokens": SAMPLE, "output_logits": True, "return_dict_in_generate": True}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        out = model.generate(ids, attention_mask=torch.ones_like(ids), **how)
    logits = torch.cat(out.logits)[:, : one.vocabulary].float()  # (tokens, vocabulary)
    return np.asarray(logits.softmax(-1).mean(0).cpu(), dtype=np.float64)
