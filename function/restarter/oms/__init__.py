"""Requests to OMS and its responses, built and interpreted without I/O: only the transport does any."""
