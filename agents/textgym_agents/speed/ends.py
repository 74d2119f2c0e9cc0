"""Texts that end at different times, whatever a model would write.

So many tokens count as end tokens that texts get the mean length asked for. No token is masked for it, so nobody pays
for a mask, and it takes no weights that know when to end.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from textgym_agents.speed.models import MADE, Subject, prompts

SAMPLE = 16  # texts, and tokens of each, from which a real model's tastes are learnt


def end_share(mean: float, most: int) -> float:
    """The share of end tokens in the vocabulary with which texts of at most ``most`` tokens have ``mean`` on average.

    With random weights each token is about equally likely, so a text goes on as long as chance will have it.

    >>> round(end_share(25, 64), 4)
    0.0362
    """
    low, high = 1e-9, 1.0
    for _ in range(100):
        share = (low + high) / 2
        low, high = (share, high) if (1 - (1 - share) ** most) / share > mean else (low, share)
    return (low + high) / 2


def end_tokens(subject: Subject, mean: float | None, most: int) -> tuple[int, ...]:
    """The tokens that end a text besides the tokenizer's own; none where ``mean`` is None.

    Random weights find all tokens about equally likely, so their number decides. A real model has its favourites: there
    tokens are drawn until they have the probability that is needed, on average over texts of its own.

    >>> from textgym_agents.speed.models import subject
    >>> len(end_tokens(subject("gpt2"), 25, 64))
    180
    """
    if mean is None:
        return ()
    share = end_share(mean, most)
    if subject.name in MADE:
        return tuple(range(2, 1 + round(subject.vocabulary * share)))
    likely, left, found = likelihoods(subject), share, []
    for token in np.random.default_rng(0).permutation(subject.vocabulary).tolist():
        if token != subject.tokenizer.eos_token_id and likely[token] <= left:
            left -= likely[token]
            found.append(token)
    return tuple(sorted(found))


@torch.no_grad()
def likelihoods(subject: Subject) -> NDArray[np.float64]:
    """(vocabulary,) the mean probability of each token in texts that the model itself writes."""
    model: Any = subject.copy()
    encoded = [subject.tokenizer.encode(prompt.text)[:SAMPLE] for prompt in prompts(subject, SAMPLE, SAMPLE)]
    ids = torch.tensor(encoded, device=model.device)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=SAMPLE,
            output_logits=True,
            return_dict_in_generate=True,
        )
    logits = torch.cat(out.logits)[:, : subject.vocabulary].float()  # (tokens, vocabulary)
    found: NDArray[np.float64] = logits.softmax(-1).mean(0).cpu().numpy().astype(np.float64)
    return found
