"""Serving HTTP: the worker, the endpoints that take no events, and the envelope of API Gateway."""
