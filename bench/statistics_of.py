"""The few statistics that the tables need. Random choices are seeded: the same numbers give the same interval."""

import random
import statistics

DRAWS = 1000


def interval(groups):
    """95 % of the median's bootstrap: groups (one per process) are drawn first, then values in them."""
    chance = random.Random(1)
    medians = []
    for _ in range(DRAWS):
        values = []
        for group in chance.choices(groups, k=len(groups)):
            values += chance.choices(group, k=len(group))
        medians.append(statistics.median(values))
    medians.sort()
    return medians[int(DRAWS * 0.025)], medians[int(DRAWS * 0.975)]


def flat(groups):
    return [value for group in groups for value in group]
