"""A call before it is made, its answer, and the transport that carries both."""
