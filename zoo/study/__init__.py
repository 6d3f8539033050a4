"""Comparison studies: presets times frameworks, in which nothing else varies.

`driver.compare` runs a `plan.Plan` and leaves a folder that `page` makes a report of.
"""
