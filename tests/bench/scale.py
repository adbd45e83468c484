"""Scale on paper: what an instance can take and what a million events cost, from measured figures. No I/O here."""

import math
from dataclasses import dataclass

# Services with request-based billing, tier 1, without the free tier: https://cloud.google.com/run/pricing (2026-11-25).
CLOUD_RUN_VCPU_SECOND = 0.000024
CLOUD_RUN_GIB_SECOND = 0.0000025
CLOUD_RUN_MILLION_REQUESTS = 0.40
CLOUD_RUN_STEP_S = 0.1  # billed time is rounded up
CLOUD_RUN_GIB = 0.5  # the least for one vCPU
# Without the free tier: https://support.huaweicloud.com/intl/zh-cn/price-functiongraph/functiongraph_00_0011.html
FUNCTIONGRAPH_GB_SECOND = 0.00001667
FUNCTIONGRAPH_MILLION_REQUESTS = 0.20
FUNCTIONGRAPH_STEP_S = 0.001
FUNCTIONGRAPH_SIZES_MIB = (128, 256, 512, 768, 1024)
USE = 0.7  # of a vCPU: above it, waiting times grow
MILLION = 1_000_000


@dataclass(frozen=True)
class Scale:
    """What was measured: CPU ms for an event, MiB at the peak, calls to OMS for an event, seconds OMS takes for one."""

    cpu_ms: float
    memory_mib: float
    calls: int
    oms_seconds: float = 0.1

    @property
    def duration(self) -> float:
        """Seconds from request to reply on an idle instance: OMS's answers and our CPU."""
        return self.calls * self.oms_seconds + self.cpu_ms / 1000

    @property
    def events_per_second(self) -> float:
        """Events a second for an instance of one vCPU: USE / CPU seconds."""
        return USE / (self.cpu_ms / 1000)

    def instances(self, events: int, seconds: float) -> int:
        """Instances of one vCPU for so many events in so many seconds: rate / events a second and instance."""
        return math.ceil(events / seconds / self.events_per_second)

    @property
    def cloud_run_alone(self) -> float:
        """USD for a million events of which each has an instance of one vCPU to itself."""
        billed = math.ceil(round(self.duration / CLOUD_RUN_STEP_S, 9)) * CLOUD_RUN_STEP_S
        return MILLION * billed * self._cloud_run_second + CLOUD_RUN_MILLION_REQUESTS

    @property
    def cloud_run_together(self) -> float:
        """USD for a million events that share instances which are in use by USE."""
        return MILLION / self.events_per_second * self._cloud_run_second + CLOUD_RUN_MILLION_REQUESTS

    @property
    def _cloud_run_second(self) -> float:
        return CLOUD_RUN_VCPU_SECOND + CLOUD_RUN_GIB * CLOUD_RUN_GIB_SECOND

    @property
    def functiongraph_size(self) -> int:
        """The smallest size of FunctionGraph, in MiB, that holds the peak with a quarter to spare."""
        return next(size for size in FUNCTIONGRAPH_SIZES_MIB if size >= self.memory_mib * 1.25)

    @property
    def functiongraph(self) -> float:
        """USD for a million events, each billed for its duration: requests + GB x seconds."""
        billed = math.ceil(round(self.duration / FUNCTIONGRAPH_STEP_S, 9)) * FUNCTIONGRAPH_STEP_S
        gb_seconds = MILLION * billed * self.functiongraph_size / 1024
        return gb_seconds * FUNCTIONGRAPH_GB_SECOND + FUNCTIONGRAPH_MILLION_REQUESTS

    def rows(self) -> list[tuple[str, str, str]]:
        """What, with which formula, and how much."""
        cpu, rate = f"{self.cpu_ms:.3f} ms", self.events_per_second
        alone = f"{self.duration * 1000:.1f} ms rounded up to 100, 1 vCPU and {CLOUD_RUN_GIB} GiB"
        return [
            ("events a second, one instance of 1 vCPU", f"{USE:g} / {cpu}", f"{rate:,.0f}"),
            (
                "instances for 100,000 failures in ten minutes",
                f"100,000 / 600 s / {rate:,.0f}/s",
                f"{self.instances(100_000, 600)}",
            ),
            ("calls to OMS a second then", f"100,000 x {self.calls} / 600 s", f"{100_000 * self.calls / 600:,.0f}"),
            ("a million events on Cloud Run, one at a time", alone, f"${self.cloud_run_alone:.2f}"),
            (
                "a million events on Cloud Run, in a storm",
                f"{cpu} / {USE:g}, the same size",
                f"${self.cloud_run_together:.2f}",
            ),
            (
                "a million events on FunctionGraph",
                f"{self.duration * 1000:.1f} ms rounded up to 1, {self.functiongraph_size} MiB",
                f"${self.functiongraph:.2f}",
            ),
        ]
