"""Results files of benchmarks as one static page, and the checks that a results file has to pass.

``results`` reads the files, ``page`` writes the page with what ``assets`` has of style and script, ``check`` recomputes
what a file says and repeats runs of it, ``chosen`` draws a few algorithms.
"""
