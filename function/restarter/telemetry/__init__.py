"""What may be told of a delivery while it is handled: to nobody, to OpenTelemetry, or to `explain`."""
