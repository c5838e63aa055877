"""Runs a command and says on its last line of stderr, as JSON, how long it took and how much memory it had at most.

It is a process of its own because a child's peak counts from the fork: started by a benchmark with gigabytes in memory,
even `true` would seem to need them.
"""

import json
import resource
import subprocess
import sys
import time

begin = time.perf_counter()
status = subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL)
seconds = time.perf_counter() - begin
used = resource.getrusage(resource.RUSAGE_CHILDREN)
unit_bytes = 1 if sys.platform == "darwin" else 1024
cost = {
    "seconds": seconds,
    "cpu_seconds": used.ru_utime + used.ru_stime,
    "peak_bytes": used.ru_maxrss * unit_bytes,
}
print("", json.dumps(cost), sep="\n", file=sys.stderr)
sys.exit(status)
