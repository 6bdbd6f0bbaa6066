"""Regressions: functions, operations or whole services that became more expensive and stayed so.

Cost per request is judged where traces tell the requests, else the share of the CPU. A trend in load, the hour of the
day and another mix of operations excuse a change; spikes that went away, and cost that only moved from one function
to another, are none. What is left is grouped: of a chain of callers only the cause is named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from correlate.detectors.fdr import step_up
from correlate.detectors.frame_kinds import INTERPRETER, kind_mask
from correlate.detectors.regression_filters import Filters, cause
from correlate.detectors.regression_levels import Levels, levels_of, releases
from correlate.detectors.regression_options import PRODUCTION, RegressionOptions
from correlate.detectors.regression_words import Told, verdict_of
from correlate.detectors.shares import FunctionSeries, OperationSeries, blocks, operation_blocks
from correlate.detectors.steps import Steps, find_steps
from correlate.detectors.trend import F64, I64
from correlate.model.verdicts import Guard, Tier, Verdict

DETECTOR: Final = "regression"
