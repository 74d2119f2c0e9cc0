"""Algorithms x tasks x seeds, one process each, and what they did to held-out prompts.

``config`` says what to run, ``run`` does one run, ``launch`` starts the processes and keeps their results,
``statistics`` and ``aggregate`` turn results into estimates with intervals, ``report`` and ``curves`` show them.
``speed`` is apart from all that: it times the library.
"""
