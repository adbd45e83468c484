"""How HTTP is read and ended: the worker, the endpoints that carry no event, the envelope of API Gateway."""
