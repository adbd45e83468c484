"""The observer that the environment configures. Without one, nothing of OpenTelemetry is imported."""

import os

from restarter.settings.errors import SettingsError
from restarter.telemetry.observer import NO_OBSERVER, Observer


def configured_observer() -> Observer:
    """OpenTelemetry if OTEL_EXPORTER_OTLP_ENDPOINT is set, else an observer that does nothing.

    Raises:
        SettingsError: The variable is set, but the extra `otel` is not installed.
    """
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return NO_OBSERVER
    try:
        from restarter.telemetry.opentelemetry import OpenTelemetry  # noqa: PLC0415  # an extra, imported where it is set
    except ImportError:
        raise SettingsError(["OTEL_EXPORTER_OTLP_ENDPOINT: needs OpenTelemetry: install the extra otel"]) from None
    return OpenTelemetry()
