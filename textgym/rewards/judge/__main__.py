"""``python -m textgym.rewards.judge LOG...``: compute the rewards of judges' logs again; 1 if some differ."""

import sys
from collections.abc import Sequence

from textgym.rewards.judge.audit import recompute


def main(logs: Sequence[str]) -> int:
    """Print what each log says."""
    if not logs:
        print(__doc__)
        return 2
    audits = [recompute(log) for log in logs]
    for audit in audits:
        print(audit)
    return int(any(audit.differ for audit in audits))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
