"""Requests to OMS and its responses: both are made and read without I/O, which is the transport's."""
