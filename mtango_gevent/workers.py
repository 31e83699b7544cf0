"""Figures of this worker: requests, responses, times and what the process has used."""

from __future__ import annotations

import resource
import time
from typing import Any


class Statistics:
    """Counts of one worker since its application was made."""

    def __init__(self) -> None:
        self.running_since = time.time()
        self.requests = 0
        self.responses = 0


def resource_usage() -> dict[str, Any]:
    """mtango-py's `resource`: seconds of CPU, KiB of memory, counts (contract: rc3, section 9)."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "user_time": usage.ru_utime,
        "system_time": usage.ru_stime,
        "max_resident_mem": usage.ru_maxrss,
        "shared_mem": usage.ru_ixrss,
        "unshared_mem": usage.ru_idrss,
        "unshared_stack_mem": usage.ru_isrss,
        "sent_msgs": usage.ru_msgsnd,
        "recv_msgs": usage.ru_msgrcv,
        "page_faults": {"major": usage.ru_majflt, "minor": usage.ru_minflt},
        "swap_out": usage.ru_nswap,
        "block": {"input": usage.ru_inblock, "output": usage.ru_oublock},
        "signals": usage.ru_nsignals,
        "context_switch": {"voluntary": usage.ru_nvcsw, "involuntary": usage.ru_nivcsw},
    }
