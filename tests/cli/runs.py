"""The flags of the run that `trained` in conftest.py makes."""

STEPS = 12
TINY = ["mlp", "--set", "hidden=[16]", "--precision", "float64", "--seed", 3]
LENGTH = ["--steps", STEPS, "--evaluate-every", 6, "--checkpoint-every", 4]
