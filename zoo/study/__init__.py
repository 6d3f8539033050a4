"""Studies: presets times frameworks, with everything else kept equal.

`driver.compare` runs a `plan.Plan` and leaves a folder; `report.page` renders it.
"""
