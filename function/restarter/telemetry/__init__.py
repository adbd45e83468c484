"""Reports the steps of a delivery to an observer: to none, to OpenTelemetry, or to `explain`."""
