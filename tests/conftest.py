"""Settings of every proof: quiet frameworks, one thread per test process."""

import os

# Two test processes share two cores: each framework gets one thread.
for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
