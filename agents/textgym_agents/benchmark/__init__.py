"""Algorithms x tasks x seeds, one process each, and what they did to held-out prompts.

``config`` says what to run, ``run`` does one run, ``launch`` starts the processes and keeps their results,
``aggregate`` (of a few algorithms) and ``analysis`` turn results into estimates with intervals, ``report`` shows them,
with what ``sections``, ``pictures`` and ``charts`` make of them.
"""
