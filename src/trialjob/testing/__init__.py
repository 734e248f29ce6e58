"""Shipped for those who write adapters: fakes, and a contract suite for each port."""

import sys

if "pytest" in sys.modules:
    # What a suite compared is shown where it fails, also in the tests of a package.
    suites = ("backend", "journal", "rule", "sampler", "section", "store")
    sys.modules["pytest"].register_assert_rewrite(*(f"{__name__}.{each}_contract" for each in suites))
