"""Algorithms x tasks x seeds, one process each, and what they did to held-out prompts.

``config`` says what to run, ``run`` does one run, ``launch`` starts the processes and keeps their results,
``aggregate`` and ``comparison`` turn results into estimates with intervals, ``report``, ``ranking`` (of more than three
algorithms) and ``charts`` show them.
"""
