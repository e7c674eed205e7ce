"""What a process has used and holds now, as the system tells. NaN or 0 where it does not."""

import os
import resource
import sys
from pathlib import Path


def processor_seconds(process: int) -> float:
    """What it has used of the processor so far, all threads; NaN where the system does not tell."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(process: int | None = None) -> int:
    """Memory of a process (this one) that is in RAM now; where that is not told, the most that this one ever had."""
    try:
        pages = int(Path(f"/proc/{process or 'self'}/statm").read_text().split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_descriptors() -> int:
    """How many files and sockets this process has open; 0 where the system does not tell."""
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - Path.iterdir makes an object for each
    except OSError:
        return len(list(Path("/dev/fd").iterdir())) if Path("/dev/fd").is_dir() else 0
