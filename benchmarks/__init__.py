"""Speed of the zoo, as a ratio to a plain native model in the same run.

    python -m benchmarks [NAME…] [--backend torch|tf|jax] [--json FILE] [--quick|--cpu]

`speed` times forward and training steps against the hand-written peers in `peers_*`,
`loop` times `zoo.fit` against the steps written by hand in `loops_*`, `startup` times
imports, builds and conversions in fresh processes.
"""
