"""The script behind ``evaluate.load(textgym.metrics.MODULE, name)``, which loads a metric by path, without a network.

>>> import evaluate
>>> from textgym.metrics import MODULE
>>> rouge = evaluate.load(MODULE, "rougeL", use_stemmer=False)
>>> rouge.compute(predictions=["a cat"], references=["the cat"])
{'rougeL': 0.5}
"""

import inspect
from typing import Any

from textgym.errors import ConfigError
from textgym.metrics import METRICS, check_names, evaluate_module


class TextgymMetric(evaluate_module.MetricModule):
    """A metric of :data:`textgym.metrics.METRICS`. Evaluate takes the first class of this file: let it be the only one.

    Args:
        config_name: the metric's name.
        arguments: of the metric and of ``evaluate.Metric``.

    Raises:
        ConfigError: there is no such metric.
    """

    def __init__(self, config_name: str | None = None, **arguments: Any) -> None:
        if config_name is None:
            raise ConfigError(f"Name a metric: evaluate.load(textgym.metrics.MODULE, 'bleu'). {', '.join(METRICS)}.")
        check_names([config_name])
        metric = METRICS[config_name]
        settings = {key: arguments.pop(key) for key in inspect.signature(metric).parameters if key in arguments}
        super().__init__(metric(**settings), config_name=config_name, **arguments)
