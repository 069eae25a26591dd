"""From data points to an alarm's state.

Theory of operation (CloudWatch user guide, "Configuring how alarms treat missing data"). An alarm
looks at more periods than it evaluates: at the evaluation range. Where that has N data points
(`evaluation_periods`), the newest N count, and what is missing between them does not matter. Where
it has fewer, all of them count, and what lacks to N is filled in by `treat_missing_data`:

| of the data points that count          | missing           | ignore | breaching | notBreaching |
|----------------------------------------|-------------------|--------|-----------|--------------|
| M breach                               | ALARM             | ALARM  | ALARM     | ALARM        |
| fewer, M with what is filled in        | (as below)        | (below)| ALARM     | OK           |
| fewer, and one is within the threshold | OK                | OK     | OK        | OK           |
| fewer, all breach, one M periods ago   | ALARM             | stays  | (above)   | OK           |
| fewer, all breach, all more recently   | stays             | stays  | (above)   | OK           |
| there are none                         | INSUFFICIENT_DATA | stays  | (above)   | OK           |

"M periods ago" is what keeps an alarm from going off over the first of a few data points, and lets
it go off over one that nothing followed. AWS does not say how many periods the range has (5 where
N is 3), nor what becomes of a state under `missing` while the only data points breach and are too
new: two more than N, and that it stays, are our choices.

Pure: no I/O, no clock. It must never know whose alarm it decides on: Route 53's checks of type
CLOUDWATCH_METRIC are decided here as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from farspan.model.alarm import AlarmCondition, AlarmState, ComparisonOperator, TreatMissingData

EXTRA_PERIODS: Final = 2
"""How many periods more than N an alarm looks at."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The state that data points lead to.

    `considered` are the indices of the data points that counted, the oldest first; of them
    `breaching_count` breach. `filled_count` is how many were filled in for missing ones.
    """

    state: AlarmState
    considered: tuple[int, ...] = ()
    breaching_count: int = 0
    filled_count: int = 0


def evaluation_range(condition: AlarmCondition) -> int:
    """Return how many periods the alarm looks at."""
    return condition.evaluation_periods + EXTRA_PERIODS


def breaches(condition: AlarmCondition, value: float) -> bool:
    """Tell whether a data point breaches the threshold."""
    match condition.comparison_operator:
        case ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD:
            return value >= condition.threshold
        case ComparisonOperator.GREATER_THAN_THRESHOLD:
            return value > condition.threshold
        case ComparisonOperator.LESS_THAN_THRESHOLD:
            return value < condition.threshold
        case ComparisonOperator.LESS_THAN_OR_EQUAL_TO_THRESHOLD:
            return value <= condition.threshold


def evaluate(
    condition: AlarmCondition, points: Sequence[float | None], state: AlarmState
) -> Evaluation:
    """Return the state after `state`.

    `points` has a value for each period of the evaluation range, the oldest first, None where a
    data point is missing.
    """
    wanted = condition.evaluation_periods
    considered = tuple(index for index, point in enumerate(points) if point is not None)[-wanted:]
    breaching = [index for index in considered if breaches(condition, points[index] or 0.0)]
    filled = wanted - len(considered)
    if len(breaching) >= condition.datapoints_to_alarm:
        after = AlarmState.ALARM
    elif not filled:
        after = AlarmState.OK
    elif condition.treat_missing_data is TreatMissingData.BREACHING:
        reached = len(breaching) + filled >= condition.datapoints_to_alarm
        after = AlarmState.ALARM if reached else AlarmState.OK
    elif len(breaching) < len(considered):
        after = AlarmState.OK
    else:
        age = len(points) - breaching[0] if breaching else None
        after = _of_breaching_alone(condition, age, state)
    return Evaluation(after, considered, len(breaching), filled)


def _of_breaching_alone(
    condition: AlarmCondition, age: int | None, state: AlarmState
) -> AlarmState:
    """Return the state where every data point breaches and there are fewer than M.

    `age` is that of the oldest in periods, None where there is none at all.
    """
    if condition.treat_missing_data is TreatMissingData.NOT_BREACHING:
        return AlarmState.OK
    if condition.treat_missing_data is TreatMissingData.IGNORE:
        return state
    if age is None:
        return AlarmState.INSUFFICIENT_DATA
    return AlarmState.ALARM if age >= condition.datapoints_to_alarm else state
