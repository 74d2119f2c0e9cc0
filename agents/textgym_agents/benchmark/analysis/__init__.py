"""From the lines of ``results.jsonl`` to what a benchmark says.

``measures`` has the statistics as functions of arrays, ``scores`` makes the scores of all runs and their resamples,
``separation`` says which algorithms differ and whether a task tells them apart, ``fronts`` has reward against KL and
proxy against gold, ``costs`` what a reward costs, ``abilities`` what the probes say of an algorithm.
"""
