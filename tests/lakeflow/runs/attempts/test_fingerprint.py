"""The fingerprint of a function tells apart what differs, and ends whatever it is handed."""

from __future__ import annotations

import logging
import threading
from itertools import combinations

from lakeflow.runs.attempts.fingerprint import fingerprint


def holding(value):
    def held(rows):
        return rows, value

    return held


def test_nesting_and_types_are_told_apart():
    """Captured values that differ in shape or type alone have different fingerprints."""
    values = [[[1], [2]], [[1, [2]]], [1, 2], (1, 2), {1: 2}, {"1": 2}, {1, 2}, "12", 12, 12.0, True, None, holding(1)]

    prints = [fingerprint(holding(value)) for value in values]

    for left, right in combinations(range(len(values)), 2):
        assert prints[left] != prints[right], (values[left], values[right])


def test_equal_functions_are_equal():
    """Made anew with an equal value, a function has the same fingerprint."""
    for value in ([{"a": {1, 2}}], (1, "x"), holding([1])):
        assert fingerprint(holding(value)) == fingerprint(holding(value))


def test_functions_and_instances_may_hold_each_other():
    """A cycle ends: it is what closures that call each other are made of."""

    class Node:
        def __init__(self):
            self.me, self.log, self.lock = self, logging.getLogger("x"), threading.Lock()

        def __call__(self, rows):
            return rows

    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    assert fingerprint(even) != fingerprint(odd)
    assert fingerprint(Node()) == fingerprint(Node())
