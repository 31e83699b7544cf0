"""Read single metrics."""

from __future__ import annotations

from mtango_gevent.metrics import Metrics


def metric_value(metrics: Metrics, name: str, **labels: str) -> float:
    """Return the sum of the samples with that name and these labels, from all workers."""
    samples = (sample for family in metrics.collect() for sample in family.samples if sample.name == name)
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


def metric_values(metrics: Metrics, name: str, *labels: str) -> dict[str, float]:
    """Return the value of each sample with that name, under the values of these labels."""
    samples = (sample for family in metrics.collect() for sample in family.samples if sample.name == name)
    return {" ".join(sample.labels[label] for label in labels): sample.value for sample in samples}
